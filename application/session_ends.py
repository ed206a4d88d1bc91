"""Ending all sessions of a user at once."""

from domain.errors import StaleVersion
from domain.storage import Storage, UnitOfWork
from domain.values import SessionId, UserId


async def stage_session_ends(unit: UnitOfWork, user_id: UserId, *, keep: SessionId | None = None) -> int:
    """Stage the removal of a user's sessions but one, and tell how many these are."""
    ended = [session for session in await unit.sessions.of_user(user_id) if session.id != keep]
    for session in ended:
        unit.sessions.remove(session)
    return len(ended)


async def end_sessions(storage: Storage, user_id: UserId, *, keep: SessionId | None = None) -> None:
    """Remove a user's sessions until there are none, or none but one.

    It is called after the commit that made an end of them too: a session that began during it is found only now, and
    after it none can begin any more under what was so before.
    """
    while True:
        unit = storage.unit_of_work()
        if not await stage_session_ends(unit, user_id, keep=keep):
            return
        try:
            await unit.commit()
        except StaleVersion:
            continue  # one of them was refreshed, or has ended, meanwhile
