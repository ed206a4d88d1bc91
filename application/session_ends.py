"""Ending all sessions of a user at once."""

from application.races import Races
from domain.storage import Storage, UnitOfWork
from domain.values import SessionId, UserId


async def stage_session_ends(unit: UnitOfWork, user_id: UserId, *, keep: SessionId | None = None) -> int:
    """Stage the removal of a user's sessions but one, and tell how many these are."""
    ended = [session for session in await unit.sessions.of_user(user_id) if session.id != keep]
    for session in ended:
        unit.sessions.remove(session)
    return len(ended)


async def end_sessions(storage: Storage, races: Races, user_id: UserId, *, keep: SessionId | None = None) -> None:
    """Remove a user's sessions until there are none, or none but one.

    It is called after the commit that made an end of them too: a session that began during it is found only now, and
    after it none can begin any more under what was so before.
    """

    async def attempt() -> int:
        unit = storage.unit_of_work()
        ended = await stage_session_ends(unit, user_id, keep=keep)
        if ended:
            await unit.commit()
        return ended

    while await races.until_won(user_id, attempt):
        pass
