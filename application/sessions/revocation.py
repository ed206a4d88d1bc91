"""Ending all sessions of a user at once."""

from collections.abc import Sequence
from typing import Final

from application.concurrency import OptimisticRetry
from domain.session import SESSIONS, Session
from domain.storage import Storage, UnitOfWork
from domain.values import SessionId, UserId

_MAX_SESSIONS: Final = 1_000
"""Of one user; a sign-in leaves no more than `Session.MAX_PER_USER`, but several may happen at once."""


async def sessions_of(unit: UnitOfWork, user_id: UserId) -> Sequence[Session]:
    """Return all sessions of a user by their ids, expired ones included."""
    return await unit.records(SESSIONS).page(owner=user_id, limit=_MAX_SESSIONS)


async def stage_session_revocation(unit: UnitOfWork, user_id: UserId, *, keep: SessionId | None = None) -> int:
    """Stage the removal of a user's sessions but one, and tell how many these are."""
    ended = [session for session in await sessions_of(unit, user_id) if session.id != keep]
    for session in ended:
        unit.records(SESSIONS).remove(session)
    return len(ended)


async def revoke_sessions(
    storage: Storage, retry: OptimisticRetry, user_id: UserId, *, keep: SessionId | None = None
) -> None:
    """Remove a user's sessions until there are none, or none but one.

    It is called after the commit that made an end of them too: a session that began during it is found only now, and
    after it none can begin any more under what was so before.
    """

    async def attempt() -> int:
        unit = storage.unit_of_work()
        ended = await stage_session_revocation(unit, user_id, keep=keep)
        if ended:
            await unit.commit()
        return ended

    while await retry.run(user_id, attempt):
        pass
