"""End all sessions of a user at once."""

from collections.abc import Sequence
from typing import Final

from application.concurrency import OptimisticRetry
from domain.session import SESSIONS, Session
from domain.storage import Storage, UnitOfWork
from domain.values import SessionId, UserId

_MAX_SESSIONS: Final = 1_000
"""Per user. Sign-ins keep at most `Session.MAX_PER_USER`, but concurrent ones may exceed it."""


async def sessions_of(unit: UnitOfWork, user_id: UserId) -> Sequence[Session]:
    """Return all sessions of a user by id, including expired ones."""
    return await unit.records(SESSIONS).page(owner=user_id, limit=_MAX_SESSIONS)


async def stage_session_revocation(unit: UnitOfWork, user_id: UserId, *, keep: SessionId | None = None) -> int:
    """Stage the removal of a user's sessions except one; return how many."""
    ended = [session for session in await sessions_of(unit, user_id) if session.id != keep]
    for session in ended:
        unit.records(SESSIONS).remove(session)
    return len(ended)


async def revoke_sessions(
    storage: Storage, retry: OptimisticRetry, user_id: UserId, *, keep: SessionId | None = None
) -> None:
    """Remove a user's sessions until none are left, or only the one to keep.

    Call it after the commit that also removed them: only now is a session visible that began during that commit, and no
    session can begin under the old state any more.
    """

    async def attempt() -> int:
        unit = storage.unit_of_work()
        ended = await stage_session_revocation(unit, user_id, keep=keep)
        if ended:
            await unit.commit()
        return ended

    while await retry.run(user_id, attempt):
        pass
