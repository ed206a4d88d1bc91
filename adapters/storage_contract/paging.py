from collections.abc import Sequence
from itertools import count

import pytest

from adapters.storage_contract.examples import a_user, nth_user_id, renamed
from adapters.storage_contract.steps import add, ids_of, remove, save
from domain.storage import Storage
from domain.user import User
from domain.values import UserId

BOTH_WAYS = pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
SHUFFLED = [50, 20, 90, 10, 70, 40, 100, 30, 80, 60]


class UserPagingCases:
    """Users are listed by id, and a walk over the pages misses none."""

    async def test_users_are_listed_by_id_regardless_of_insertion_order(self, storage: Storage) -> None:
        for number in SHUFFLED:
            await add(storage, a_user(id=nth_user_id(number)))
        users = storage.unit_of_work().users
        in_order = [nth_user_id(number) for number in sorted(SHUFFLED)]
        assert ids_of(await users.page(limit=100)) == in_order
        assert ids_of(await users.page(limit=100, descending=True)) == in_order[::-1]

    async def test_ids_sort_as_their_text_does(self, storage: Storage) -> None:
        ids = [UserId(f"{head}1900000-0000-7000-8000-00000000000{tail}") for head in "08f7a" for tail in "f09a"]
        await add(storage, *(a_user(id=user_id) for user_id in ids))
        assert ids_of(await storage.unit_of_work().users.page(limit=100)) == sorted(ids)
        found = await storage.unit_of_work().users.page(after=sorted(ids)[9], limit=100)
        assert ids_of(found) == sorted(ids)[10:]

    @pytest.mark.parametrize(
        ("after", "limit", "descending", "skip", "expected"),
        [
            (None, 3, False, 0, [10, 20, 30]),
            (None, 3, True, 0, [100, 90, 80]),
            (None, 1, False, 0, [10]),
            (None, 3, False, 2, [30, 40, 50]),
            (None, 3, True, 2, [80, 70, 60]),
            (30, 3, False, 0, [40, 50, 60]),
            (30, 3, True, 0, [20, 10]),
            (30, 2, False, 1, [50, 60]),
            (30, 2, True, 1, [10]),
            (90, 3, False, 0, [100]),
            (100, 3, False, 0, []),
            (10, 3, True, 0, []),
            (None, 5, False, 8, [90, 100]),
            (None, 5, False, 10, []),
            (None, 5, True, 50, []),
            # Unused ids: between two users, before all, behind all.
            (35, 2, False, 0, [40, 50]),
            (35, 2, True, 0, [30, 20]),
            (1, 2, False, 0, [10, 20]),
            (1, 2, True, 0, []),
            (500, 2, False, 0, []),
            (500, 2, True, 0, [100, 90]),
        ],
    )
    async def test_a_page_is_the_part_that_was_asked_for(
        self, storage: Storage, after: int | None, limit: int, descending: bool, skip: int, expected: list[int]
    ) -> None:
        await add(storage, *(a_user(id=nth_user_id(number)) for number in SHUFFLED))
        position = None if after is None else nth_user_id(after)
        page = await storage.unit_of_work().users.page(after=position, limit=limit, descending=descending, skip=skip)
        assert ids_of(page) == [nth_user_id(number) for number in expected]

    @BOTH_WAYS
    async def test_a_walk_meets_all_lasting_users_once_while_others_come_and_go(
        self, storage: Storage, another_client: Storage, descending: bool
    ) -> None:
        lasting = [a_user(id=nth_user_id(number)) for number in range(1_000, 10_000, 300)]
        fleeting = {nth_user_id(number): a_user(id=nth_user_id(number)) for number in range(1_150, 10_000, 300)}
        await add(storage, *lasting, *fleeting.values())
        fresh = count(1)
        met: list[User] = []
        position: UserId | None = None
        while page := await storage.unit_of_work().users.page(after=position, limit=4, descending=descending):
            met += page
            position = page[-1].id
            # The user at the walk's position is removed; others come and go on both sides of it.
            doomed = [fleeting.pop(user_id) for user_id in (position, *list(fleeting)[:1]) if user_id in fleeting]
            await remove(another_client, *doomed)
            number = next(fresh)
            newcomers = (a_user(id=nth_user_id(at + number)) for at in (1_001, 5_001, 9_001))
            await add(another_client, *newcomers)
            lasting[number % 30] = renamed(lasting[number % 30], f"Renamed {number}")
            await save(another_client, lasting[number % 30])
        ids = ids_of(met)
        assert len(ids) == len(set(ids))
        assert ids == sorted(ids, reverse=descending)
        assert {user.id for user in lasting} <= set(ids)

    @BOTH_WAYS
    async def test_a_walk_in_steps_of_any_size_sees_the_whole(self, storage: Storage, descending: bool) -> None:
        users = [a_user() for _ in range(13)]
        await add(storage, *users)

        async def read(after: UserId | None, limit: int) -> Sequence[User]:
            return await storage.unit_of_work().users.page(after=after, limit=limit, descending=descending)

        for size in (1, 4, 13, 200):
            met: list[User] = []
            while page := await read(met[-1].id if met else None, size):
                met += page
            assert met == (users[::-1] if descending else users)
