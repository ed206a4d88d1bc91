import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from typing import Any, Final

import pytest

from adapters.storage_contract.examples import a_full_user, a_record, a_user, at_version, changed, nth_key, renamed
from adapters.storage_contract.paging import BOTH_WAYS, SHUFFLED
from adapters.storage_contract.samples import CONTRACT_TYPES, SAMPLES, Color, LabelTaken, Sample, SerialTaken
from adapters.storage_contract.steps import (
    StorageContents,
    add,
    assert_same,
    outcomes,
    owned,
    read_all,
    remove,
    save,
    stage_add,
    stage_remove,
    stage_require,
    stage_save,
    stored,
    stored_user,
)
from adapters.storage_contract.text import TEXTS
from adapters.storage_contract.times import MOMENTS
from adapters.storage_contract.uniqueness import DIFFERENT_TEXTS
from adapters.storage_contract.versions import DISTANCES
from domain.errors import DomainError, IdTaken, InvalidRecord, StaleVersion, TooBusy, UserNotFound
from domain.records import MAX_KEY_BYTES, MAX_RECORD_BYTES, MIN_TIME, RecordType
from domain.storage import Storage
from domain.user import User

RIVALS = 20
NOW: Final = datetime(2031, 1, 1, tzinfo=UTC)

with_owner = pytest.mark.parametrize(
    "record_type", [record_type for record_type in CONTRACT_TYPES if record_type.owner], ids=lambda it: it.name
)
with_due = pytest.mark.parametrize(
    "record_type", [record_type for record_type in CONTRACT_TYPES if record_type.due], ids=lambda it: it.name
)
Records = RecordType[Any]


def shape(record_type: Records) -> tuple[bool, bool]:
    """Return what of a declaration changes how its records are written: an owner, and whether it is the key."""
    return record_type.owner is not None, record_type.owner == record_type.key


ONE_OF_EACH_SHAPE: Final = list({shape(record_type): record_type for record_type in CONTRACT_TYPES}.values())
"""Types for cases that depend on no field; that of the contract is one of them."""

of_each_shape = pytest.mark.parametrize("record_type", ONE_OF_EACH_SHAPE, ids=lambda it: it.name)
of_each_shape_with_owner = pytest.mark.parametrize(
    "record_type", [record_type for record_type in ONE_OF_EACH_SHAPE if record_type.owner], ids=lambda it: it.name
)

NOT_TO_BE_KEPT: Final[Sequence[tuple[str, object]]] = (
    ("code", ""),
    ("code", "k" * (MAX_KEY_BYTES + 1)),
    ("code", "é" * (MAX_KEY_BYTES // 2 + 1)),
    ("label", ""),
    ("serial", "s" * (MAX_KEY_BYTES + 1)),
    ("serial", None),
    ("text", "NUL \0"),
    ("text", "surrogate \ud800"),
    ("text", "x" * MAX_RECORD_BYTES),
    ("text", 1),
    ("amount", 2**63),
    ("amount", -(2**63) - 1),
    ("amount", True),
    ("amount", 1.5),
    ("flag", 1),
    ("flag", None),
    ("color", "red"),
    ("content", b"x" * MAX_RECORD_BYTES),
    ("content", "text"),
    ("created_at", datetime(2026, 1, 1)),  # noqa: DTZ001 - it is this that is refused
    ("created_at", datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)),
    ("created_at", datetime(999, 12, 31, tzinfo=UTC)),
    ("tags", ["text"]),
    ("tags", ("NUL \0",)),
    ("tags", ("x" * 1_000,) * 300),
    ("attributes", {"NUL \0": ""}),
    ("attributes", {"name": 1}),
    ("history", {"name": (datetime(2026, 1, 1),)}),  # noqa: DTZ001 - it is this that is refused
)
"""Values of fields that no storage takes."""


def some_records(record_type: Records, number: int) -> tuple[Sequence[User], list[Any]]:
    """Return records and their owners: one owner for all, unless the key is the owner; then one for each."""
    if record_type.owner != record_type.key:
        owner = a_user()
        return [owner], [a_record(record_type, owner) for _ in range(number)]
    owners = [a_user() for _ in range(number)]
    return owners, [a_record(record_type, owner) for owner in owners]


def a_sample(owner: User, **values: Any) -> Sample:
    return replace(a_record(SAMPLES, owner), **values)


class RecordCases:
    """The promises for every record type: the declared ones, and one with a field of every kind."""

    @pytest.fixture(params=CONTRACT_TYPES, ids=lambda it: it.name)
    def record_type(self, request: pytest.FixtureRequest) -> Records:
        found: Records = request.param
        return found

    async def test_a_record_comes_back_with_every_field(self, storage: Storage, record_type: Records) -> None:
        owners, records = some_records(record_type, 3)
        records[0] = at_version(records[0], 2**33)
        bare_owner = a_user()
        bare = a_record(record_type, bare_owner, full=False)
        await add(storage, *owners, bare_owner, *records, bare)
        for record in (*records, bare):
            assert_same(await stored(storage, record), record)
        found = await storage.unit_of_work().records(record_type).page(limit=10)
        assert_same(tuple(found), tuple(sorted((*records, bare), key=record_type.key_of)))

    async def test_saving_a_record_replaces_every_field(self, storage: Storage, record_type: Records) -> None:
        owners, (before, bystander) = some_records(record_type, 2)
        await add(storage, *owners, before, bystander)
        after = changed(record_type, before)
        await save(storage, after)
        assert_same(await stored(storage, before), after)
        assert_same(await stored(storage, bystander), bystander)
        bare = at_version(a_record(record_type, owners[0], key=record_type.key_of(before), full=False), 3)
        await save(storage, bare)
        assert_same(await stored(storage, before), bare)

    @of_each_shape
    async def test_several_saves_of_a_record_in_one_commit_follow_one_another(
        self, storage: Storage, record_type: Records
    ) -> None:
        owners, (first, other) = some_records(record_type, 2)
        await add(storage, *owners, first, other)
        states = [first]
        for _ in range(5):
            states.append(changed(record_type, states[-1]))
        await save(storage, *states[1:3], changed(record_type, other), *states[3:])
        assert_same(await stored(storage, first), states[-1])
        assert states[-1].version == 6
        gap = changed(record_type, at_version(states[-1], 7))
        for late in ([*states[1:3]], [gap], [changed(record_type, states[-1]), at_version(gap, 9)]):
            with pytest.raises(StaleVersion):
                await save(storage, *late)
        assert_same(await stored(storage, first), states[-1])

    async def test_a_record_is_written_only_at_the_version_that_was_read(
        self, storage: Storage, record_type: Records
    ) -> None:
        (owner,), (record,) = some_records(record_type, 1)
        record = at_version(record, 5)
        await add(storage, owner, record)
        for off in (at_version(record, record.version + distance) for distance in DISTANCES):
            for attempt in (
                save(storage, changed(record_type, off)),
                remove(storage, off),
                self._require(storage, off),
            ):
                with pytest.raises(StaleVersion):
                    await attempt
        assert await read_all(storage) == StorageContents.of(owner, record)

    @of_each_shape
    async def test_a_record_that_is_not_there_can_be_neither_written_nor_required(
        self, storage: Storage, record_type: Records
    ) -> None:
        (owner,), (record,) = some_records(record_type, 1)
        await add(storage, owner, record)
        await remove(storage, record)
        unknown = a_record(record_type, a_user())
        for gone in (record, unknown):
            for attempt in (
                save(storage, changed(record_type, gone)),
                remove(storage, gone),
                self._require(storage, gone),
            ):
                with pytest.raises(StaleVersion):
                    await attempt
            assert await stored(storage, gone) is None
        assert await read_all(storage) == StorageContents.of(owner)

    async def test_a_removed_record_is_gone_and_its_neighbours_stay(
        self, storage: Storage, record_type: Records
    ) -> None:
        owners, (first, second, third) = some_records(record_type, 3)
        await add(storage, *owners, first, second, third)
        await remove(storage, second)
        assert await read_all(storage) == StorageContents.of(*owners, first, third)
        records = storage.unit_of_work().records(record_type)
        assert await records.count() == 2
        if record_type.owner:
            assert [record for owner in owners for record in await owned(storage, record_type, owner)] == [first, third]
            assert sum([await records.count(owner=owner.id) for owner in owners]) == 2
        await add(storage, second)
        assert await read_all(storage) == StorageContents.of(*owners, first, second, third)

    async def test_a_key_is_used_once(self, storage: Storage, record_type: Records) -> None:
        (owner,), (record,) = some_records(record_type, 1)
        await add(storage, owner, record)
        with pytest.raises(IdTaken):
            await add(storage, a_record(record_type, owner, key=record_type.key_of(record)))
        assert await read_all(storage) == StorageContents.of(owner, record)

    async def test_a_key_may_be_that_of_a_user_or_of_another_type(self, storage: Storage) -> None:
        owner = a_user()
        records: list[Any] = [a_record(record_type, owner, key=owner.id) for record_type in CONTRACT_TYPES]
        await add(storage, owner, *records)
        assert await read_all(storage) == StorageContents.of(owner, *records)

    @of_each_shape
    async def test_a_removed_record_can_be_added_again_in_one_commit(
        self, storage: Storage, record_type: Records
    ) -> None:
        (owner,), (record,) = some_records(record_type, 1)
        await add(storage, owner, record)
        again = at_version(changed(record_type, record), 1)
        unit = storage.unit_of_work()
        stage_remove(unit, record)
        stage_add(unit, again)
        await unit.commit()
        assert_same(await stored(storage, record), again)

    @of_each_shape
    async def test_a_record_can_be_added_saved_and_removed_in_one_commit(
        self, storage: Storage, record_type: Records
    ) -> None:
        owners, (first, second) = some_records(record_type, 2)
        unit = storage.unit_of_work()
        stage_add(unit, *owners, first, second)
        stage_save(unit, changed(record_type, second))
        last = changed(record_type, first)
        stage_save(unit, last)
        unit.records(record_type).remove(at_version(second, 2))
        await unit.commit()
        assert await read_all(storage) == StorageContents.of(*owners, last)

    @of_each_shape
    async def test_several_records_are_removed_together_or_not_at_all(
        self, storage: Storage, record_type: Records
    ) -> None:
        owners, records = some_records(record_type, 4)
        await add(storage, *owners, *records)
        before = await read_all(storage)
        with pytest.raises(StaleVersion):
            await remove(storage, *records[:2], at_version(records[2], 9), records[3])
        assert await read_all(storage) == before
        await remove(storage, *records)
        assert await read_all(storage) == StorageContents.of(*owners)

    @of_each_shape
    async def test_a_commit_that_requires_a_record_at_its_version_applies_and_changes_nothing_of_it(
        self, storage: Storage, record_type: Records
    ) -> None:
        owners, (required, written) = some_records(record_type, 2)
        await add(storage, *owners, required, written)
        unit = storage.unit_of_work()
        stage_require(unit, required)
        stage_save(unit, changed(record_type, written))
        await unit.commit()
        assert_same(await stored(storage, required), required)
        after = changed(record_type, required)
        unit = storage.unit_of_work()
        stage_require(unit, required)
        stage_save(unit, after)
        await unit.commit()
        assert_same(await stored(storage, required), after)

    @of_each_shape
    async def test_of_many_rivals_one_adds_and_one_saves(
        self, storage: Storage, another_client: Storage, record_type: Records
    ) -> None:
        owner = a_user()
        await add(storage, owner)
        key = nth_key(record_type, 7)
        clients = cycle((storage, another_client))
        rivals = [a_record(record_type, owner, key=key) for _ in range(RIVALS)]
        results = await outcomes([add(client, rival) for client, rival in zip(clients, rivals, strict=False)])
        assert sorted(map(str, results)) == sorted(map(str, [None, *[IdTaken] * (RIVALS - 1)]))
        record = rivals[results.index(None)]
        states = [changed(record_type, record) for _ in range(RIVALS)]
        results = await outcomes([save(client, state) for client, state in zip(clients, states, strict=False)])
        assert sorted(map(str, results)) == sorted(map(str, [None, *[StaleVersion] * (RIVALS - 1)]))
        assert_same(await stored(storage, record), states[results.index(None)])

    @of_each_shape
    async def test_a_record_that_is_removed_while_it_is_saved_stays_removed(
        self, storage: Storage, another_client: Storage, record_type: Records
    ) -> None:
        for _ in range(5):
            (owner,), (record,) = some_records(record_type, 1)
            await add(storage, owner, record)
            after = changed(record_type, record)
            results = await outcomes([save(storage, after), remove(another_client, record)])
            assert results.count(None) == 1
            assert results.count(StaleVersion) == 1
            assert await stored(storage, record) == (after if results[0] is None else None)

    @of_each_shape
    async def test_a_condition_holds_while_others_write(
        self, storage: Storage, another_client: Storage, record_type: Records
    ) -> None:
        for _ in range(5):
            owners, (one, other) = some_records(record_type, 2)
            await add(storage, *owners, one, other)
            results = await outcomes(
                [
                    self._save_requiring(storage, changed(record_type, one), other),
                    self._save_requiring(another_client, changed(record_type, other), one),
                ]
            )
            assert results.count(None) <= 1
            assert set(results) <= {None, StaleVersion, TooBusy}
            found = [await stored(storage, one), await stored(storage, other)]
            assert sum(record.version == 2 for record in found if record) == results.count(None)

    @with_owner
    async def test_a_record_needs_its_owner(self, storage: Storage, record_type: Records) -> None:
        (owner,), (record,) = some_records(record_type, 1)
        with pytest.raises(UserNotFound):
            await add(storage, record)
        with pytest.raises(UserNotFound):
            await add(storage, record, owner)
        await add(storage, owner)
        assert await read_all(storage) == StorageContents.of(owner)

    @of_each_shape_with_owner
    async def test_a_record_changes_nothing_of_its_owner(self, storage: Storage, record_type: Records) -> None:
        (owner,), (record,) = some_records(record_type, 1)
        await add(storage, owner)
        await add(storage, record)
        await save(storage, changed(record_type, record))
        assert_same(await stored_user(storage, owner), owner)
        await save(storage, renamed(owner, "Renamed"))

    @with_owner
    async def test_records_are_listed_and_counted_owner_by_owner(self, storage: Storage, record_type: Records) -> None:
        ann, ben, childless = a_user(), a_user(), a_user()
        number = 1 if record_type.owner == record_type.key else 3
        of_ann = [a_record(record_type, ann) for _ in range(number)]
        of_ben = [a_record(record_type, ben)]
        await add(storage, ann, ben, childless, *of_ann[::-1], *of_ben)
        records = storage.unit_of_work().records(record_type)
        assert await owned(storage, record_type, ann) == of_ann
        assert await owned(storage, record_type, ben) == of_ben
        assert await owned(storage, record_type, childless) == []
        assert await owned(storage, record_type, a_user()) == []
        assert await records.count(owner=ann.id) == number
        assert await records.count(owner=a_user().id) == 0
        assert await records.count() == number + 1

    @with_owner
    async def test_records_go_with_their_owner_and_may_be_added_again(
        self, storage: Storage, record_type: Records
    ) -> None:
        doomed, other = a_full_user(), a_user()
        kept = a_record(record_type, other)
        number = 1 if record_type.owner == record_type.key else 60
        records = [a_record(record_type, doomed) for _ in range(number)]
        await add(storage, doomed, other, kept, *records)
        await remove(storage, doomed)
        for record in records[:3]:
            assert await stored(storage, record) is None
        assert await read_all(storage) == StorageContents.of(other, kept)
        assert await owned(storage, record_type, doomed) == []
        assert await storage.unit_of_work().records(record_type).count(owner=doomed.id) == 0
        await add(storage, doomed, *records)
        assert await owned(storage, record_type, doomed) == records

    @of_each_shape_with_owner
    async def test_no_record_outlives_a_concurrently_removed_owner(
        self, storage: Storage, another_client: Storage, record_type: Records
    ) -> None:
        for _ in range(5):
            (owner,), (record,) = some_records(record_type, 1)
            await add(storage, owner)
            results = await outcomes([add(storage, record), remove(another_client, owner)])
            assert results[0] in (None, UserNotFound, TooBusy)
            assert results[1] in (None, TooBusy)
            if results[1] is None:
                assert await stored(storage, record) is None
                assert await read_all(storage) == StorageContents.of()
            else:
                await remove(storage, owner)

    async def test_records_without_an_owner_stay_when_a_user_goes(self, storage: Storage) -> None:
        user = a_user()
        ownerless = [a_record(record_type, user) for record_type in CONTRACT_TYPES if record_type.owner is None]
        await add(storage, user, *ownerless)
        await remove(storage, user)
        assert await read_all(storage) == StorageContents.of(*ownerless)

    async def test_a_page_of_records_is_the_part_that_was_asked_for(
        self, storage: Storage, record_type: Records
    ) -> None:
        owner = a_user()
        owners = {number: a_user() for number in SHUFFLED} if record_type.owner == record_type.key else {}
        keys = {number: owners[number].id if owners else nth_key(record_type, number) for number in SHUFFLED}
        await add(storage, owner, *owners.values())
        for number in SHUFFLED:
            await add(storage, a_record(record_type, owners.get(number, owner), key=keys[number]))
        in_order = sorted(keys.values())
        records = storage.unit_of_work().records(record_type)

        async def page(**options: Any) -> list[str]:
            found = list(map(record_type.key_of, await records.page(**options)))
            if not owners and record_type.owner:
                assert list(map(record_type.key_of, await records.page(owner=owner.id, **options))) == found
            return found

        for descending in (False, True):
            ordered = in_order[::-1] if descending else in_order
            assert await page(limit=100, descending=descending) == ordered
            assert await page(limit=3, descending=descending) == ordered[:3]
            assert await page(limit=0, descending=descending) == []
            assert await page(limit=3, skip=2, descending=descending) == ordered[2:5]
            assert await page(limit=5, skip=8, descending=descending) == ordered[8:]
            assert await page(limit=5, skip=10, descending=descending) == []
            assert await page(limit=3, after=ordered[2], descending=descending) == ordered[3:6]
            assert await page(limit=2, after=ordered[2], skip=1, descending=descending) == ordered[4:6]
            assert await page(limit=3, after=ordered[-1], descending=descending) == []
        if not owners:
            assert await page(limit=2, after=nth_key(record_type, 35)) == in_order[3:5]
            assert await page(limit=2, after=nth_key(record_type, 35), descending=True) == in_order[2::-1][:2]
            assert await page(limit=2, after=nth_key(record_type, 1)) == in_order[:2]
            assert await page(limit=2, after=nth_key(record_type, 500)) == []
            assert await page(limit=2, after=nth_key(record_type, 500), descending=True) == in_order[:-3:-1]

    @BOTH_WAYS
    async def test_a_walk_meets_all_lasting_records_once_while_others_come_and_go(
        self, storage: Storage, another_client: Storage, descending: bool
    ) -> None:
        owner = a_user()
        lasting = {nth_key(SAMPLES, number): self._nth(owner, number) for number in range(1_000, 7_000, 300)}
        fleeting = {nth_key(SAMPLES, number): self._nth(owner, number) for number in range(1_150, 7_000, 300)}
        await add(storage, owner, *lasting.values(), *fleeting.values())
        fresh = count(1)
        met: list[str] = []
        records = storage.unit_of_work().records(SAMPLES)
        while page := await records.page(
            owner=owner.id, after=met[-1] if met else None, limit=4, descending=descending
        ):
            met += map(SAMPLES.key_of, page)
            doomed = [fleeting.pop(key) for key in (met[-1], *list(fleeting)[:1]) if key in fleeting]
            await remove(another_client, *doomed)
            number = next(fresh)
            await add(another_client, *(self._nth(owner, at + number) for at in (1_000, 4_000, 6_400)))
        assert len(met) == len(set(met))
        assert met == sorted(met, reverse=descending)
        assert lasting.keys() <= set(met)

    @with_due
    async def test_those_that_are_due_are_found_the_earliest_first(
        self, storage: Storage, record_type: Records
    ) -> None:
        assert record_type.due
        owner = a_user()
        moments = [NOW + timedelta(milliseconds=nth) for nth in (-2, -1, 0, 0, 1)]
        records = [self._due(record_type, owner, moment) for moment in moments]
        await add(storage, owner, *records[::-1])
        found = storage.unit_of_work().records(record_type)
        for limit in (10, 4, 3, 1, 0):
            assert list(await found.due(NOW, limit=limit)) == records[:4][:limit]
        assert list(await found.due(NOW - timedelta(milliseconds=2), limit=10)) == records[:1]
        assert list(await found.due(NOW - timedelta(seconds=1), limit=10)) == []
        later = self._due(record_type, owner, NOW + timedelta(minutes=1), changed(record_type, records[0]))
        await save(storage, later)
        await remove(storage, records[1])
        assert list(await found.due(NOW, limit=10)) == records[2:4]
        assert list(await found.due(NOW + timedelta(minutes=1), limit=10)) == [*records[2:], later]

    async def test_times_of_all_centuries_are_due_in_their_order(self, storage: Storage) -> None:
        owner = a_user()
        moments = [MIN_TIME, *(datetime(year, 1, 1, tzinfo=UTC) for year in (1001, 1969, 1970, 1971, 2031, 9999))]
        samples = [a_sample(owner, due_at=moment) for moment in moments]
        await add(storage, owner, *samples[::-1])
        records = storage.unit_of_work().records(SAMPLES)
        for number, moment in enumerate(moments, start=1):
            assert list(await records.due(moment, limit=10)) == samples[:number]

    @with_due
    async def test_what_belongs_to_a_removed_user_is_never_due(self, storage: Storage, record_type: Records) -> None:
        doomed, other = a_user(), a_user()
        kept = self._due(record_type, other, NOW)
        await add(storage, doomed, other, kept, self._due(record_type, doomed, NOW))
        await remove(storage, doomed)
        found = await storage.unit_of_work().records(record_type).due(NOW, limit=10)
        assert kept in found
        assert len(found) == (1 if record_type.owner else 2)

    async def test_a_record_that_is_never_due_is_not_found_and_may_become_due(self, storage: Storage) -> None:
        owner = a_user()
        never = a_sample(owner, due_at=None)
        await add(storage, owner, never)
        samples = storage.unit_of_work().records(SAMPLES)
        assert list(await samples.due(NOW, limit=10)) == []
        due = replace(never, due_at=NOW, version=2)
        await save(storage, due)
        assert list(await samples.due(NOW, limit=10)) == [due]
        await save(storage, replace(due, due_at=None, version=3))
        assert list(await samples.due(NOW, limit=10)) == []

    async def test_of_many_workers_one_claims_what_is_due(self, storage: Storage, another_client: Storage) -> None:
        owner = a_user()
        jobs = [a_sample(owner, due_at=NOW) for _ in range(5)]
        await add(storage, owner, *jobs)
        claimed: list[str] = []

        async def work(client: Storage) -> None:
            for job in await client.unit_of_work().records(SAMPLES).due(NOW, limit=10):
                try:
                    await save(client, replace(job, due_at=NOW + timedelta(minutes=1), version=job.version + 1))
                except StaleVersion:
                    continue
                claimed.append(job.code)

        await asyncio.gather(*(work(client) for client in (storage, another_client) * 5))
        assert sorted(claimed) == sorted(job.code for job in jobs)

    async def test_a_record_is_found_by_each_of_its_unique_fields(self, storage: Storage) -> None:
        owner = a_user()
        first, second, third = a_sample(owner), a_sample(owner), a_sample(owner, label=None)
        await add(storage, owner, first, second, third)
        samples = storage.unit_of_work().records(SAMPLES)
        assert first.label
        assert_same(await samples.find("label", first.label), first)
        assert_same(await samples.find("serial", first.serial), first)
        assert_same(await samples.find("serial", third.serial), third)
        assert await samples.find("label", first.serial) is None
        moved = replace(first, label="moved", serial=first.label, version=2)
        await save(storage, moved)
        assert await samples.find("label", first.label) is None
        assert await samples.find("serial", first.serial) is None
        assert await samples.find("label", "moved") == moved
        assert await samples.find("serial", first.label) == moved
        await remove(storage, moved)
        assert await samples.find("label", "moved") is None

    @pytest.mark.parametrize(("field", "error"), SAMPLES.unique.items(), ids=SAMPLES.unique)
    async def test_a_value_that_is_taken_is_refused_by_the_declared_error(
        self, storage: Storage, field: str, error: type[DomainError]
    ) -> None:
        ann, ben = a_user(), a_user()
        taken, other = a_sample(ann), a_sample(ben)
        values: dict[str, Any] = {field: getattr(taken, field)}
        await add(storage, ann, ben, taken, other)
        before = await read_all(storage)
        for attempt in (
            add(storage, a_sample(ben, **values)),
            add(storage, a_user(), a_sample(ann), a_sample(ben, **values)),
            save(storage, replace(changed(SAMPLES, other), **values)),
        ):
            with pytest.raises(error) as refused:
                await attempt
            assert values[field] not in str(refused.value)
            assert await read_all(storage) == before
        await save(storage, replace(changed(SAMPLES, taken), **values))
        await remove(storage, replace(taken, version=2))
        await add(storage, a_sample(ben, **values))

    @pytest.mark.parametrize(("field", "error"), SAMPLES.unique.items(), ids=SAMPLES.unique)
    async def test_one_of_many_rivals_gets_a_value(
        self, storage: Storage, another_client: Storage, field: str, error: type[DomainError]
    ) -> None:
        owner = a_user()
        await add(storage, owner)
        values: dict[str, Any] = {field: "wanted"}
        rivals = [a_sample(owner, **values) for _ in range(RIVALS)]
        clients = cycle((storage, another_client))
        results = await outcomes([add(client, rival) for client, rival in zip(clients, rivals, strict=False)])
        assert sorted(map(str, results)) == sorted(map(str, [None, *[error] * (RIVALS - 1)]))
        found = await storage.unit_of_work().records(SAMPLES).find(field, "wanted")
        assert found == rivals[results.index(None)]

    @pytest.mark.parametrize("text", ["", "x" * 1_025], ids=["empty", "too long"])
    async def test_a_text_that_no_record_can_have_finds_none(self, storage: Storage, text: str) -> None:
        owner = a_user()
        await add(storage, owner, a_sample(owner))
        samples = storage.unit_of_work().records(SAMPLES)
        assert await samples.get(text) is None
        assert await samples.find("label", text) is None

    async def test_a_value_is_freed_for_what_is_staged_after_it(self, storage: Storage) -> None:
        owner = a_user()
        first, second = a_sample(owner), a_sample(owner)
        await add(storage, owner, first, second)
        unit = storage.unit_of_work()
        stage_save(unit, replace(first, label="moved", version=2))
        stage_save(unit, replace(second, label=first.label, version=2))
        await unit.commit()
        unit = storage.unit_of_work()
        stage_remove(unit, replace(first, version=2))
        stage_add(unit, a_sample(owner, label="moved", serial=first.serial))
        await unit.commit()
        with pytest.raises((LabelTaken, SerialTaken)):
            await add(storage, a_sample(owner, label="moved", serial=first.serial))

    async def test_a_value_that_is_taken_is_refused_in_a_state_that_is_replaced_at_once(self, storage: Storage) -> None:
        owner = a_user()
        taken, other = a_sample(owner), a_sample(owner)
        await add(storage, owner, taken, other)
        before = await read_all(storage)
        passing = replace(other, label=taken.label, version=2)
        with pytest.raises(LabelTaken):
            await save(storage, passing, replace(other, version=3))
        assert await read_all(storage) == before

    async def test_any_number_of_records_may_have_no_value(self, storage: Storage) -> None:
        owner = a_user()
        await add(storage, owner, *(a_sample(owner, label=None) for _ in range(3)))
        await add(storage, a_sample(owner, label=None))
        assert await storage.unit_of_work().records(SAMPLES).count() == 4

    async def test_a_removed_owner_leaves_their_values_free(self, storage: Storage) -> None:
        ann, ben = a_user(), a_user()
        sample = a_sample(ann)
        await add(storage, ann, ben, sample)
        await remove(storage, ann)
        assert await storage.unit_of_work().records(SAMPLES).find("serial", sample.serial) is None
        await add(storage, a_sample(ben, label=sample.label, serial=sample.serial))

    async def test_keys_and_values_that_only_look_alike_are_different(self, storage: Storage) -> None:
        owner = a_user()
        await add(storage, owner)
        samples = storage.unit_of_work().records(SAMPLES)
        for texts in DIFFERENT_TEXTS.values():
            one, other = (f"it is {text}" for text in texts)
            first = a_sample(owner, code=one, label=one, serial=one)
            second = a_sample(owner, code=other, label=other, serial=other)
            await add(storage, first)
            assert await samples.get(other) is None
            assert await samples.find("label", other) is None
            await add(storage, second)
            for sample in (first, second):
                assert_same(await samples.get(sample.code), sample)
                assert_same(await samples.find("label", sample.serial), sample)
                assert_same(await samples.find("serial", sample.serial), sample)
            assert list(await samples.page(limit=10)) == sorted((first, second), key=SAMPLES.key_of)
            await remove(storage, first, second)

    async def test_any_text_comes_back_in_every_field(self, storage: Storage) -> None:
        owner = a_user()
        samples = [
            a_sample(
                owner,
                code=text,
                label=text,
                serial=text,
                text=text,
                note=text,
                tags=(text, "", text),
                attributes={text: text, "": ""},
                history={text: ()},
            )
            for text in TEXTS.values()
        ]
        await add(storage, owner, *samples)
        for sample in samples:
            assert_same(await stored(storage, sample), sample)
            assert_same(await storage.unit_of_work().records(SAMPLES).find("label", sample.text), sample)

    async def test_times_come_back_exactly(self, storage: Storage) -> None:
        owner = a_user()
        samples = [
            a_sample(owner, created_at=moment, due_at=moment, moments=(moment,) * 3, history={"": (None, moment)})
            for moment in MOMENTS
        ]
        await add(storage, owner, *samples)
        for sample in samples:
            assert_same(await stored(storage, sample), sample)
            due = await storage.unit_of_work().records(SAMPLES).due(sample.created_at, limit=len(samples))
            assert list(due)[-1] == sample

    async def test_extreme_values_come_back(self, storage: Storage) -> None:
        owner = a_user()
        largest = a_sample(owner, amount=2**63 - 1, rank=-(2**63), scores=(2**63 - 1, -(2**63), 0))
        smallest = a_sample(
            owner, amount=0, text="", note="", content=b"", digest=b"", tags=(), moments=(), scores=(), attributes={}
        )
        every_byte = a_sample(owner, content=bytes(range(256)), parts={"all": bytes(range(256))}, color=Color.GREEN)
        await add(storage, owner, largest, smallest, every_byte)
        for sample in (largest, smallest, every_byte):
            assert_same(await stored(storage, sample), sample)

    @pytest.mark.parametrize("character", ["a", "é", "語", "😀"])
    async def test_the_longest_keys_and_the_largest_records_come_back(self, storage: Storage, character: str) -> None:
        owner = a_user()
        longest = character * (MAX_KEY_BYTES // len(character.encode()))
        filled = character * ((MAX_RECORD_BYTES - 8_000) // len(character.encode()))
        sample = a_sample(owner, code=longest, label=longest, serial=longest, text=filled)
        await add(storage, owner, sample)
        assert_same(await stored(storage, sample), sample)
        after = replace(sample, version=2, text=filled[::-1], label=None)
        await save(storage, after)
        assert_same(await storage.unit_of_work().records(SAMPLES).find("serial", longest), after)
        others = [replace(after, code=f"{nth}", serial=f"{nth}") for nth in range(5)]
        await add(storage, a_user(), *others)
        assert_same(tuple(await owned(storage, SAMPLES, owner)), tuple(sorted((after, *others), key=SAMPLES.key_of)))
        await save(storage, *(replace(other, version=3) for other in others))
        await remove(storage, owner)
        assert await stored(storage, sample) is None

    async def test_what_a_store_could_not_keep_is_refused_when_it_is_staged(self, storage: Storage) -> None:
        owner = a_user()
        stored_sample = a_sample(owner)
        await add(storage, owner, stored_sample)
        samples = storage.unit_of_work().records(SAMPLES)
        for field, value in NOT_TO_BE_KEPT:
            values: dict[str, Any] = {field: value}
            stage: Callable[[Sample], None]
            for stage, sample in ((samples.add, a_sample(owner)), (samples.save, changed(SAMPLES, stored_sample))):
                with pytest.raises(InvalidRecord) as refused:
                    stage(replace(sample, **values))
                assert "record" in str(refused.value) or field in str(refused.value)
        assert await read_all(storage) == StorageContents.of(owner, stored_sample)

    @staticmethod
    async def _require(storage: Storage, record: Any) -> None:
        unit = storage.unit_of_work()
        stage_require(unit, record)
        unit.users.add(a_user())
        await unit.commit()

    @staticmethod
    async def _save_requiring(storage: Storage, saved: Any, required: Any) -> None:
        unit = storage.unit_of_work()
        stage_require(unit, required)
        stage_save(unit, saved)
        await unit.commit()

    @staticmethod
    def _nth(owner: User, number: int) -> Sample:
        return a_record(SAMPLES, owner, key=nth_key(SAMPLES, number))

    @staticmethod
    def _due(record_type: Records, owner: User, moment: datetime, record: Any = None) -> Any:
        assert record_type.due
        values: dict[str, Any] = {record_type.due: moment}
        return replace(record or a_record(record_type, owner), **values)
