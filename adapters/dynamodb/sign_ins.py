"""The repositories of what signing in leaves behind."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from adapters.dynamodb import rules
from adapters.dynamodb.commits import Write
from adapters.dynamodb.items import (
    EXPIRIES,
    Key,
    end_of_expiries,
    failures_from,
    failures_key,
    session_from,
    session_keys,
    sessions_of,
)
from adapters.dynamodb.repositories import Source
from adapters.dynamodb.table import Range
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.values import SessionId, UserId


class DynamoDBSessionRepository:
    def __init__(self, source: Source, staged: list[Write]) -> None:
        self._reader = source.reader
        self._belongings = source.belongings
        self._staged = staged

    async def get(self, session_id: SessionId) -> Session | None:
        found = await self._belongings.find(session_keys, session_id)
        if found is None:
            return None
        user_id, image = found
        return session_from(user_id, session_id, image)

    async def of_user(self, user_id: UserId) -> Sequence[Session]:
        within = Range(sessions_of(user_id))
        found = await self._belongings.if_there(user_id, lambda: self._reader.all(within)) or []
        return [session_from(user_id, key.sk, image) for key, image in found]

    def add(self, session: Session) -> None:
        self._staged.append(Write(partial(rules.add_session, session=session)))

    def save(self, session: Session) -> None:
        self._staged.append(Write(partial(rules.save_session, session=session), _record_key(session)))

    def remove(self, session: Session) -> None:
        self._staged.append(Write(partial(rules.remove_session, session=session), _record_key(session)))


class DynamoDBSignInFailureRepository:
    def __init__(self, source: Source, staged: list[Write]) -> None:
        self._reader = source.reader
        self._staged = staged

    async def get(self, key: str) -> SignInFailures | None:
        image = await self._reader.one(failures_key(key))
        return None if image is None else failures_from(key, image)

    async def expired(self, moment: datetime, *, limit: int) -> Sequence[SignInFailures]:
        """Begin with the last of them, so that the range needs no end but the one by time."""
        within = Range(EXPIRIES, after=end_of_expiries(moment), descending=True)
        pointers = await self._reader.first(within, limit)
        keys = {failures_key(pointer["owner"]): pointer["owner"] for _, pointer in pointers}
        images = await self._reader.some(keys.keys())
        found = [failures_from(keys[key], image) for key, image in images.items()]
        return [failures for failures in found if failures.expires_at <= moment]

    def add(self, failures: SignInFailures) -> None:
        self._staged.append(Write(partial(rules.add_failures, failures=failures)))

    def save(self, failures: SignInFailures) -> None:
        self._staged.append(Write(partial(rules.save_failures, failures=failures), failures_key(failures.key)))

    def remove(self, failures: SignInFailures) -> None:
        self._staged.append(Write(partial(rules.remove_failures, failures=failures), failures_key(failures.key)))


def _record_key(session: Session) -> Key:
    return session_keys(session.user_id, session.id).record
