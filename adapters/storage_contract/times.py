from dataclasses import replace
from datetime import UTC, datetime

from adapters.storage_contract.examples import a_user
from adapters.storage_contract.steps import add, assert_same, save, stored_user
from domain.storage import Storage

MOMENTS = [
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
    datetime(1000, 1, 1, tzinfo=UTC),
    datetime(1900, 2, 28, 12, 30, 15, 1_000, tzinfo=UTC),
    datetime(2024, 2, 29, 12, 0, 0, 100_000, tzinfo=UTC),
    # An hour that does not exist, and one that exists twice, when clocks change for the summer.
    datetime(2026, 3, 29, 2, 30, 0, 10_000, tzinfo=UTC),
    datetime(2026, 10, 25, 2, 30, 0, 1_000, tzinfo=UTC),
    datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
]


class TimeCases:
    """Times are UTC, to the millisecond."""

    async def test_times_of_users_come_back_exactly(self, storage: Storage) -> None:
        users = [replace(a_user(), created_at=moment) for moment in MOMENTS]
        users += [replace(a_user(), updated_at=moment) for moment in MOMENTS]
        await add(storage, *users)
        for user in users:
            assert_same(await stored_user(storage, user), user)

    async def test_two_saves_in_one_millisecond_differ_by_version(self, storage: Storage) -> None:
        first = a_user()
        second = replace(first, version=2)
        await add(storage, first)
        await save(storage, second)
        await save(storage, replace(second, version=3))
        assert_same(await stored_user(storage, first), replace(second, version=3))
