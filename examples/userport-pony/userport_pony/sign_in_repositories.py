from collections.abc import Sequence
from datetime import datetime
from typing import Any

from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.values import SessionId, UserId

from userport_pony.database import Database
from userport_pony.staged_writes import StagedWrites
from userport_pony.tables import failures_from, failures_values, milliseconds, session_from, session_values


class PonySessionRepository:
    def __init__(self, database: Database, staged: StagedWrites) -> None:
        self._database = database
        self._staged = staged

    async def get(self, session_id: SessionId) -> Session | None:
        def read(db: Any) -> Session | None:
            row = db.Session.get(id=session_id)
            return None if row is None else session_from(row)

        return await self._database.read(read)

    async def of_user(self, user_id: UserId) -> Sequence[Session]:
        def read(db: Any) -> Sequence[Session]:
            sessions = db.Session.select(lambda session: session.user.id == user_id)
            return [session_from(row) for row in sessions.order_by(lambda session: session.id)]

        return await self._database.read(read)

    def add(self, session: Session) -> None:
        self._staged.add("sessions", session_values(session))

    def save(self, session: Session) -> None:
        self._staged.save("sessions", session_values(session))

    def remove(self, session: Session) -> None:
        self._staged.remove("sessions", session.id, session.version)


class PonySignInFailureRepository:
    def __init__(self, database: Database, staged: StagedWrites) -> None:
        self._database = database
        self._staged = staged

    async def get(self, key: str) -> SignInFailures | None:
        def read(db: Any) -> SignInFailures | None:
            row = db.SignInFailures.get(key=key)
            return None if row is None else failures_from(row)

        return await self._database.read(read)

    async def expired(self, moment: datetime, *, limit: int) -> Sequence[SignInFailures]:
        latest = milliseconds(moment)

        def read(db: Any) -> Sequence[SignInFailures]:
            found = db.SignInFailures.select(lambda failures: failures.expires_at <= latest)
            return [failures_from(row) for row in found.limit(limit)]

        return await self._database.read(read)

    def add(self, failures: SignInFailures) -> None:
        self._staged.add("sign_in_failures", failures_values(failures))

    def save(self, failures: SignInFailures) -> None:
        self._staged.save("sign_in_failures", failures_values(failures), key="key")

    def remove(self, failures: SignInFailures) -> None:
        self._staged.remove("sign_in_failures", failures.key, failures.version, key="key")
