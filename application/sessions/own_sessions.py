"""Use cases for a user's own sessions."""

from collections.abc import Sequence

from application.concurrency import OptimisticRetry
from application.ports import Clock
from application.sessions.revocation import sessions_of
from domain.errors import SessionNotFound
from domain.session import SESSIONS, Session
from domain.storage import Storage
from domain.values import SessionId, UserId


class OwnSessionService:
    """Lists and ends a user's own sessions. Every method may raise what the storage port raises."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._retry = OptimisticRetry()

    async def list(self, user_id: UserId) -> Sequence[Session]:
        """Return the active sessions of a user, oldest first."""
        now = self._clock.now()
        sessions = await sessions_of(self._storage.unit_of_work(), user_id)
        return [session for session in sessions if not session.has_expired(now)]

    async def end(self, user_id: UserId, session_id: SessionId) -> None:
        """End a session. Raise `SessionNotFound`, also for another user's session."""

        async def attempt() -> None:
            unit = self._storage.unit_of_work()
            session = await unit.records(SESSIONS).get(session_id)
            if session is None or session.user_id != user_id or session.has_expired(self._clock.now()):
                raise SessionNotFound
            unit.records(SESSIONS).remove(session)
            await unit.commit()

        await self._retry.run(session_id, attempt)
