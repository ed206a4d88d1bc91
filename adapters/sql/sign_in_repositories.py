from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from adapters.sql.reads import Reads
from adapters.sql.rows import (
    SESSION_COLUMNS,
    SIGN_IN_FAILURE_COLUMNS,
    session_from_row,
    session_values,
    sign_in_failures_from_row,
    sign_in_failures_values,
)
from adapters.sql.staged_writes import StagedWrites
from adapters.sql.tables import SESSIONS, SIGN_IN_FAILURES
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.values import SessionId, UserId


class SqlSessionRepository:
    def __init__(self, reads: Reads, staged: StagedWrites) -> None:
        self._reads = reads
        self._staged = staged

    async def get(self, session_id: SessionId) -> Session | None:
        row = await self._reads.session_by_id.row(session_id)
        return None if row is None else session_from_row(row)

    async def of_user(self, user_id: UserId) -> Sequence[Session]:
        statement = select(*SESSION_COLUMNS).where(SESSIONS.c.user_id == user_id).order_by(SESSIONS.c.id)
        return [session_from_row(row) for row in await self._reads.database.rows(statement)]

    def add(self, session: Session) -> None:
        self._staged.add(SESSIONS, session_values(session))

    def save(self, session: Session) -> None:
        self._staged.save(SESSIONS, session_values(session))

    def remove(self, session: Session) -> None:
        self._staged.remove(SESSIONS, session.id, session.version)


class SqlSignInFailureRepository:
    def __init__(self, reads: Reads, staged: StagedWrites) -> None:
        self._reads = reads
        self._staged = staged

    async def get(self, key: str) -> SignInFailures | None:
        row = await self._reads.sign_in_failures_by_key.row(key)
        return None if row is None else sign_in_failures_from_row(row)

    async def expired(self, moment: datetime, *, limit: int) -> Sequence[SignInFailures]:
        expires_at = SIGN_IN_FAILURES.c.expires_at
        found = select(*SIGN_IN_FAILURE_COLUMNS).where(expires_at <= moment)
        # The order leads a database to the index, however many rows it thinks have expired.
        rows = await self._reads.database.rows(found.order_by(expires_at).limit(limit))
        return [sign_in_failures_from_row(row) for row in rows]

    def add(self, failures: SignInFailures) -> None:
        self._staged.add(SIGN_IN_FAILURES, sign_in_failures_values(failures))

    def save(self, failures: SignInFailures) -> None:
        self._staged.save(SIGN_IN_FAILURES, sign_in_failures_values(failures))

    def remove(self, failures: SignInFailures) -> None:
        self._staged.remove(SIGN_IN_FAILURES, failures.key, failures.version)
