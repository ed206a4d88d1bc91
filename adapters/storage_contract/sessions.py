from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle

import pytest

from adapters.storage_contract.examples import (
    a_full_session,
    a_full_user,
    a_session,
    a_user,
    nth_session_id,
    nth_user_id,
    refreshed,
    renamed,
)
from adapters.storage_contract.steps import (
    Everything,
    add,
    assert_same,
    everything,
    outcomes,
    remove,
    save,
    stage_add,
    stage_remove,
    stored_session,
    stored_user,
)
from adapters.storage_contract.versions import DISTANCES
from domain.errors import IdTaken, StaleVersion, TooBusy, UserNotFound
from domain.session import Session
from domain.storage import Storage

RIVALS = 20


class SessionCases:
    """Sessions come back as they went in; a refresh token is used once, however many try at the same time."""

    async def test_a_session_comes_back_with_every_field(self, storage: Storage) -> None:
        user = a_full_user()
        session = a_full_session(user)
        await add(storage, user, a_full_session(user), session, a_full_session(user))
        assert_same(await stored_session(storage, session), session)

    async def test_a_session_without_optional_fields_comes_back(self, storage: Storage) -> None:
        user = a_user()
        session = a_session(user)
        await add(storage, user, session)
        assert_same(await stored_session(storage, session), session)

    async def test_sessions_are_listed_user_by_user_in_the_order_of_their_ids(self, storage: Storage) -> None:
        ann, ben, nobody = a_user(), a_user(), a_user()
        of_ann, of_ben = [a_full_session(ann) for _ in range(3)], a_session(ben)
        await add(storage, ann, ben, nobody, of_ann[2], of_ben, of_ann[0], of_ann[1])
        sessions = storage.unit_of_work().sessions
        found = list(await sessions.of_user(ann.id))
        assert_same(tuple(found), tuple(of_ann))
        assert list(await sessions.of_user(ben.id)) == [of_ben]
        assert list(await sessions.of_user(nobody.id)) == []
        assert list(await sessions.of_user(nth_user_id(1))) == []

    async def test_as_many_sessions_as_a_user_may_have_are_listed(self, storage: Storage) -> None:
        user = a_user()
        sessions = [a_session(user) for _ in range(Session.MOST_OF_A_USER + 1)]
        await add(storage, user, *sessions)
        assert list(await storage.unit_of_work().sessions.of_user(user.id)) == sessions

    async def test_unknown_sessions_are_not_found(self, storage: Storage) -> None:
        user = a_user(id=nth_user_id(7))
        await add(storage, user)
        assert await storage.unit_of_work().sessions.get(nth_session_id(1)) is None
        assert await storage.unit_of_work().sessions.get(nth_session_id(7)) is None

    async def test_expired_sessions_come_back_like_others(self, storage: Storage) -> None:
        user = a_user()
        session = a_session(user)
        expired = replace(session, expires_at=session.created_at.replace(year=1999))
        await add(storage, user, expired)
        assert_same(await stored_session(storage, session), expired)
        assert list(await storage.unit_of_work().sessions.of_user(user.id)) == [expired]

    async def test_saving_a_session_replaces_its_state(self, storage: Storage) -> None:
        user = a_user()
        before, bystander = a_full_session(user), a_full_session(user)
        await add(storage, user, before, bystander)
        after = refreshed(before)
        await save(storage, after)
        assert_same(await stored_session(storage, before), after)
        assert list(await storage.unit_of_work().sessions.of_user(user.id)) == [after, bystander]

    async def test_a_session_needs_a_user(self, storage: Storage) -> None:
        user = a_user()
        session = a_session(user)
        with pytest.raises(UserNotFound):
            await add(storage, session)
        await add(storage, user)
        assert await stored_session(storage, session) is None
        assert list(await storage.unit_of_work().sessions.of_user(user.id)) == []

    async def test_a_session_id_is_used_once(self, storage: Storage) -> None:
        ann, ben = a_user(), a_user()
        session = a_session(ann)
        await add(storage, ann, ben, session)
        for again in (session, a_session(ann, id=session.id), a_session(ben, id=session.id)):
            with pytest.raises(IdTaken):
                await add(storage, again)
        assert (await everything(storage)).sessions == [session]

    async def test_a_session_changes_nothing_of_its_user(self, storage: Storage) -> None:
        user = a_user()
        session = a_session(user)
        await add(storage, user)
        await add(storage, session)
        await save(storage, refreshed(session))
        assert await stored_user(storage, user) == user
        await save(storage, renamed(user, "Renamed"))

    async def test_a_removed_session_is_gone_and_its_neighbours_stay(self, storage: Storage) -> None:
        user = a_user()
        first, second, third = (a_session(user) for _ in range(3))
        await add(storage, user, first, second, third)
        await remove(storage, second)
        assert await stored_session(storage, second) is None
        assert list(await storage.unit_of_work().sessions.of_user(user.id)) == [first, third]

    @DISTANCES
    async def test_a_session_is_saved_and_removed_only_at_the_version_that_was_read(
        self, storage: Storage, distance: int
    ) -> None:
        user = a_user()
        session = a_full_session(user)
        await add(storage, user, session)
        off = replace(session, version=session.version + distance)
        for attempt in (save(storage, refreshed(off)), remove(storage, off)):
            with pytest.raises(StaleVersion):
                await attempt
        assert (await everything(storage)).sessions == [session]

    async def test_a_session_that_has_ended_can_be_neither_saved_nor_removed(self, storage: Storage) -> None:
        user = a_user()
        session = a_session(user)
        await add(storage, user, session)
        await remove(storage, session)
        for attempt in (save(storage, refreshed(session)), remove(storage, session)):
            with pytest.raises(StaleVersion):
                await attempt
        assert (await everything(storage)).sessions == []

    async def test_sessions_end_and_begin_in_one_commit_or_not_at_all(self, storage: Storage) -> None:
        user = a_user()
        old, stale, new = a_session(user), a_session(user), a_session(user)
        await add(storage, user, old, stale)
        unit = storage.unit_of_work()
        stage_remove(unit, old, replace(stale, version=9))
        stage_add(unit, new)
        with pytest.raises(StaleVersion):
            await unit.commit()
        assert (await everything(storage)).sessions == [old, stale]
        unit = storage.unit_of_work()
        stage_remove(unit, old, stale)
        stage_add(unit, new)
        await unit.commit()
        assert (await everything(storage)).sessions == [new]

    async def test_several_sessions_end_together_or_not_at_all(self, storage: Storage) -> None:
        user = a_user()
        sessions = [a_session(user) for _ in range(3)]
        await add(storage, user, *sessions)
        with pytest.raises(StaleVersion):
            await remove(storage, *sessions[:2], replace(sessions[2], version=9))
        assert (await everything(storage)).sessions == sessions
        await remove(storage, *sessions)
        assert (await everything(storage)).sessions == []

    async def test_all_sessions_that_a_user_may_have_end_in_one_commit(self, storage: Storage) -> None:
        user = a_user()
        sessions = [a_session(user) for _ in range(Session.MOST_OF_A_USER)]
        await add(storage, user, *sessions)
        unit = storage.unit_of_work()
        unit.users.save(renamed(user, "Signed out everywhere"))
        stage_remove(unit, *sessions)
        await unit.commit()
        assert await everything(storage) == Everything([renamed(user, "Signed out everywhere")], [], [], [])

    async def test_one_of_many_rivals_uses_a_refresh_token(self, storage: Storage, another_client: Storage) -> None:
        user = a_user()
        session = a_session(user)
        await add(storage, user, session)
        states = [refreshed(session) for _ in range(RIVALS)]
        clients = cycle((storage, another_client))
        results = await outcomes([save(client, state) for client, state in zip(clients, states, strict=False)])
        assert results.count(None) == 1
        assert set(results) <= {None, StaleVersion}
        assert await stored_session(storage, session) == states[results.index(None)]

    async def test_a_session_that_ends_while_it_is_refreshed_stays_ended(
        self, storage: Storage, another_client: Storage
    ) -> None:
        for _ in range(10):
            user = a_user()
            session = a_session(user)
            await add(storage, user, session)
            results = await outcomes([save(storage, refreshed(session)), remove(another_client, session)])
            assert results.count(None) == 1
            found = await stored_session(storage, session)
            assert (found is None) == (results[1] is None)
            assert await _listed(storage, session) == ([found] if found else [])

    async def test_no_session_outlives_a_user_who_is_removed_meanwhile(
        self, storage: Storage, another_client: Storage
    ) -> None:
        for _ in range(10):
            user = a_user()
            session = a_session(user)
            await add(storage, user)
            results = await outcomes([add(storage, session), remove(another_client, user)])
            assert results[1] in (None, StaleVersion, TooBusy)
            if results[1] is None:
                assert results[0] in (None, UserNotFound)
                assert await stored_session(storage, session) is None
                assert await _listed(storage, session) == []
            else:
                await remove(storage, user)


async def _listed(storage: Storage, session: Session) -> Sequence[Session]:
    return list(await storage.unit_of_work().sessions.of_user(session.user_id))
