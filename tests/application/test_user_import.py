import asyncio
from collections.abc import Sequence
from typing import Final

import pytest

from adapters.memory.storage import MemoryRecords
from adapters.runtime.domain_names import IdnaDomainNames
from adapters.runtime.system import Uuid7Source
from adapters.storage_contract.steps import save
from application.transfer.user_export import UserExport
from application.transfer.user_import import BATCH, Imported, Outcome, Rejected, UserImport
from application.transfer.user_records import PlainRecord, RawRecord, RecordParser, to_record, to_record_with_hash
from application.users.service import NewUser, UserService
from domain.credential import Credential
from domain.errors import FieldError, StorageUnavailable
from domain.user import Role
from domain.values import UserId
from tests.application.fakes import ConflictingStorage, ManualClock, ReadableHasher

ADDED = Imported.ADDED
THERE = Imported.ALREADY_THERE

ANN: RawRecord = {"email": "ann@example.com", "name": "Ann", "username": "ann", "bio": "Tea."}
BOB: RawRecord = {"email": "bob@example.com", "name": "Bob"}
TODAY: Final = {"password_hash": "hash of correct horse"}
OLD: Final = {"password_hash": "old hash of battery staple"}
EXPORTED: RawRecord = {
    "id": "0193a7c5-0000-7000-8000-000000000001",
    "email": "Zoë@bücher.example",
    "username": "Zoe",
    "name": "Zoë",
    "bio": "",
    "role": "admin",
    "active": False,
    "email_verified": True,
    "version": 7,
    "created_at": "2020-02-29T00:00:00.000Z",
    "updated_at": "2026-11-20T20:36:00.123Z",
}


def codes(outcomes: Sequence[Outcome]) -> list[object]:
    """Return outcomes in a comparable form: rejections as field and code."""
    return [
        [(error.field, error.code) for error in outcome.errors] if isinstance(outcome, Rejected) else outcome
        for outcome in outcomes
    ]


async def exported(storage: ConflictingStorage) -> list[PlainRecord]:
    return [to_record(user) async for batch in UserExport(storage).batches() for user in batch]


async def exported_with_hashes(storage: ConflictingStorage) -> list[PlainRecord]:
    batches = UserExport(storage).batches_with_credentials()
    return [to_record_with_hash(user, credential) async for batch in batches for user, credential in batch]


async def hashes(storage: ConflictingStorage) -> list[object]:
    return [record["password_hash"] for record in await exported_with_hashes(storage)]


async def run_import(user_import: UserImport, records: Sequence[RawRecord | Rejected]) -> Sequence[Outcome]:
    return await user_import.store(await user_import.parse(records))


@pytest.fixture
def user_import(storage: ConflictingStorage, clock: ManualClock) -> UserImport:
    return UserImport(storage, clock, Uuid7Source(), IdnaDomainNames(), ReadableHasher())


@pytest.fixture
def dry_run(storage: ConflictingStorage, clock: ManualClock) -> UserImport:
    return UserImport(storage, clock, Uuid7Source(), IdnaDomainNames(), ReadableHasher(), dry_run=True)


async def test_records_become_users_in_their_order(user_import: UserImport, users: UserService) -> None:
    assert await run_import(user_import, [ANN, BOB]) == [ADDED, ADDED]
    ann, bob = await users.list(limit=10)
    assert (ann.name, bob.name) == ("Ann", "Bob")
    assert (bob.username, bob.bio, bob.role, bob.active, bob.version) == (None, None, Role.MEMBER, True, 1)


async def test_an_imported_address_is_unverified_unless_the_record_says_otherwise(
    user_import: UserImport, users: UserService
) -> None:
    records: list[RawRecord] = [
        BOB,
        {"email": "c@example.com", "name": "C", "email_verified": None},
        {"email": "d@example.com", "name": "D", "email_verified": False},
        {"email": "e@example.com", "name": "E", "email_verified": True},
    ]
    assert await run_import(user_import, records) == [ADDED] * 4
    assert [user.email_verified for user in await users.list(limit=10)] == [False, False, False, True]


async def test_a_new_user_is_made_now(user_import: UserImport, storage: ConflictingStorage) -> None:
    await run_import(user_import, [BOB])
    (record,) = await exported(storage)
    assert record["created_at"] == record["updated_at"] == "2026-11-20T20:36:00.123Z"


async def test_what_was_exported_is_restored_exactly(user_import: UserImport, storage: ConflictingStorage) -> None:
    assert await run_import(user_import, [EXPORTED]) == [ADDED]
    assert await exported(storage) == [{**EXPORTED, "email": "Zoë@xn--bcher-kva.example"}]


async def test_an_export_imported_elsewhere_exports_the_same(
    user_import: UserImport, storage: ConflictingStorage
) -> None:
    await run_import(user_import, [ANN, BOB, EXPORTED])
    elsewhere, clock = ConflictingStorage(), ManualClock()
    clock.move(days=100)
    first = await exported(storage)
    there = UserImport(elsewhere, clock, Uuid7Source(), IdnaDomainNames(), ReadableHasher())
    assert await run_import(there, first) == [ADDED] * 3
    assert await exported(elsewhere) == first


async def test_an_export_walks_over_more_than_one_batch(user_import: UserImport, storage: ConflictingStorage) -> None:
    for start in range(0, 2_500, 500):
        await run_import(
            user_import, [{"email": f"u{n}@example.com", "name": str(n)} for n in range(start, start + 500)]
        )
    assert [record["name"] for record in await exported(storage)] == [str(n) for n in range(2_500)]


async def test_a_second_run_adds_and_refuses_nothing(user_import: UserImport) -> None:
    await run_import(user_import, [ANN, BOB, EXPORTED])
    assert await run_import(user_import, [ANN, BOB, EXPORTED]) == [THERE] * 3


async def test_a_record_that_says_less_than_is_known_is_already_there(user_import: UserImport) -> None:
    await run_import(user_import, [ANN])
    assert await run_import(user_import, [{"email": "ann@example.com", "name": "Ann"}]) == [THERE]


@pytest.mark.parametrize(
    "difference",
    [
        {"name": "Anna"},
        {"bio": None},
        {"username": "anna"},
        {"role": "admin"},
        {"active": False},
        {"email_verified": True},
        {"version": 2},
    ],
)
async def test_a_record_that_says_something_else_is_refused(
    user_import: UserImport, users: UserService, difference: RawRecord
) -> None:
    await run_import(user_import, [ANN])
    assert codes(await run_import(user_import, [{**ANN, **difference}])) == [[("email", "email_taken")]]
    assert [user.name for user in await users.list(limit=10)] == ["Ann"]


async def test_one_user_twice_in_a_batch_is_added_once(user_import: UserImport, users: UserService) -> None:
    outcomes = await run_import(user_import, [ANN, ANN, {**ANN, "name": "Anna"}])
    assert codes(outcomes) == [ADDED, THERE, [("email", "email_taken")]]
    assert await users.count() == 1


async def test_a_batch_may_be_parsed_before_an_earlier_one_is_stored(user_import: UserImport) -> None:
    earlier = await user_import.parse([ANN, {"name": "N"}])
    later = await user_import.parse([ANN, {**BOB, "username": "ann"}])
    assert codes(await user_import.store(earlier)) == [ADDED, [("email", "required")]]
    assert codes(await user_import.store(later)) == [THERE, [("username", "username_taken")]]


async def test_what_could_not_be_read_stays_refused_in_its_place(user_import: UserImport) -> None:
    unread = Rejected((FieldError("", "not_utf8", "must be UTF-8 text"),))
    assert await run_import(user_import, [unread, BOB, unread]) == [unread, ADDED, unread]


async def test_others_have_their_turn_while_a_batch_is_parsed(user_import: UserImport) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    await user_import.parse([BOB] * BATCH)
    other.cancel()
    assert turns >= 10


async def test_a_record_may_succeed_where_an_earlier_one_with_its_email_failed(user_import: UserImport) -> None:
    await run_import(user_import, [ANN])
    outcomes = await run_import(user_import, [{**BOB, "username": "ANN"}, BOB])
    assert codes(outcomes) == [[("username", "username_taken")], ADDED]


async def test_conflicts_affect_no_other_record_of_the_batch(user_import: UserImport, users: UserService) -> None:
    await run_import(user_import, [ANN, EXPORTED])
    batch: list[RawRecord] = [{"email": f"u{n}@example.com", "name": "U"} for n in range(BATCH)]
    batch[3] = {**batch[3], "username": "Ann"}
    batch[500] = {**batch[500], "id": EXPORTED["id"]}
    batch[501] = {**batch[501], "username": "u999"}
    batch[999] = {**batch[999], "username": "U999"}
    outcomes = codes(await run_import(user_import, batch))
    assert outcomes.pop(999) == outcomes.pop(3) == [("username", "username_taken")]
    assert outcomes.pop(499) == [("id", "id_taken")]
    assert outcomes == [ADDED] * (BATCH - 3)
    assert await users.count() == 2 + BATCH - 3


async def test_a_rival_with_the_same_email_is_noticed(
    user_import: UserImport, users: UserService, storage: ConflictingStorage
) -> None:
    storage.before_commit.append(lambda: users.register(NewUser(email="bob@example.com", name="Rival")))
    assert codes(await run_import(user_import, [ANN, BOB])) == [ADDED, [("email", "email_taken")]]


async def test_two_imports_of_one_file_at_once_lose_nothing(
    user_import: UserImport, users: UserService, storage: ConflictingStorage, clock: ManualClock
) -> None:
    other = UserImport(storage, clock, Uuid7Source(), IdnaDomainNames(), ReadableHasher())
    storage.before_commit.append(lambda: run_import(other, [ANN, BOB]))
    assert await run_import(user_import, [ANN, BOB, EXPORTED]) == [THERE, THERE, ADDED]
    assert await users.count() == 3


async def test_all_errors_of_a_record_are_reported_at_once(user_import: UserImport) -> None:
    record: RawRecord = {
        "nmae": "Ann",
        "name": 7,
        "username": "-",
        "bio": "\0",
        "role": "emperor",
        "active": "yes",
        "email_verified": 1,
        "id": "1",
        "version": 0,
        "created_at": "yesterday",
        "updated_at": 5,
    }
    assert codes(await run_import(user_import, [record])) == [
        [
            ("nmae", "unknown_field"),
            ("email", "required"),
            ("name", "wrong_type"),
            ("username", "invalid_username"),
            ("bio", "invalid_character"),
            ("role", "not_allowed"),
            ("active", "wrong_type"),
            ("email_verified", "wrong_type"),
            ("id", "invalid_id"),
            ("created_at", "invalid_time"),
            ("updated_at", "wrong_type"),
            ("version", "out_of_range"),
        ]
    ]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("password", "correct horse", "password_not_supported"),
        ("password_hash", "correct horse", "unknown_password_hash"),
        ("password_hash", "", "unknown_password_hash"),
        ("password_hash", 7, "wrong_type"),
    ],
)
async def test_an_invalid_password_hash_is_rejected_and_never_repeated(
    user_import: UserImport, users: UserService, field: str, value: object, code: str
) -> None:
    outcomes = await run_import(user_import, [{**BOB, field: value}])
    assert codes(outcomes) == [[(field, code)]]
    assert "horse" not in repr(outcomes)
    assert await users.count() == 0


async def test_a_user_gets_the_password_that_their_record_has_a_hash_of(
    user_import: UserImport, storage: ConflictingStorage
) -> None:
    assert await run_import(user_import, [{**ANN, **OLD}, BOB, {**EXPORTED, **TODAY}]) == [ADDED] * 3
    assert await hashes(storage) == [TODAY["password_hash"], OLD["password_hash"], None]


async def test_a_user_and_their_password_are_there_together_or_not_at_all(
    user_import: UserImport, users: UserService, storage: ConflictingStorage
) -> None:
    async def end() -> None:
        raise StorageUnavailable

    storage.before_commit = [end]
    with pytest.raises(StorageUnavailable):
        await run_import(user_import, [{**ANN, **TODAY}])
    assert await users.count() == 0
    await run_import(user_import, [{**ANN, **TODAY}])
    assert await hashes(storage) == [TODAY["password_hash"]]


async def test_clashes_leave_each_with_their_own_password(user_import: UserImport, storage: ConflictingStorage) -> None:
    batch: list[RawRecord] = [
        {"email": f"u{n}@example.com", "name": "U", "password_hash": f"hash of {n}"} for n in range(20)
    ]
    batch[7] = {**batch[7], "username": "ann"}
    await run_import(user_import, [ANN])
    assert codes(await run_import(user_import, batch)).pop(7) == [("username", "username_taken")]
    assert await hashes(storage) == [None, *(f"hash of {n}" for n in range(20) if n != 7)]


@pytest.mark.parametrize(
    ("stored", "given", "outcome"),
    [
        ("hash of tea", "hash of tea", THERE),
        ("hash of tea", None, THERE),
        (None, None, THERE),
        ("hash of tea", "old hash of tea", THERE),
        ("hash of tea", "hash of milk", [("password_hash", "password_hash_differs")]),
        ("old hash of tea", "hash of tea", [("password_hash", "password_hash_differs")]),
        ("old hash of tea", "old hash of milk", [("password_hash", "password_hash_differs")]),
        (None, "hash of tea", [("password_hash", "password_hash_differs")]),
    ],
)
async def test_an_existing_user_keeps_their_password(
    user_import: UserImport,
    dry_run: UserImport,
    storage: ConflictingStorage,
    stored: str | None,
    given: str | None,
    outcome: object,
) -> None:
    first = {**ANN, "password_hash": stored}
    again = {**ANN, "password_hash": given}
    assert codes(await run_import(dry_run, [first])) == [ADDED]
    assert codes(await run_import(dry_run, [again])) == [outcome]  # according to the file
    assert codes(await run_import(user_import, [first, again])) == [ADDED, outcome]
    assert codes(await run_import(dry_run, [again])) == [outcome]  # according to the storage
    assert await hashes(storage) == [stored]


async def test_an_import_can_be_repeated_after_a_sign_in_has_renewed_a_hash(
    user_import: UserImport, storage: ConflictingStorage
) -> None:
    await run_import(user_import, [{**EXPORTED, **OLD}])
    await save(storage, Credential(UserId(str(EXPORTED["id"])), "hash of tea", version=2))
    assert await run_import(user_import, [{**EXPORTED, **OLD}]) == [THERE]
    assert await hashes(storage) == ["hash of tea"]


async def test_an_export_contains_hashes_only_on_request(user_import: UserImport, storage: ConflictingStorage) -> None:
    await run_import(user_import, [{**ANN, **TODAY}])
    assert "hash" not in str(await exported(storage))


async def test_an_export_with_hashes_imported_elsewhere_exports_the_same(
    user_import: UserImport, storage: ConflictingStorage, clock: ManualClock
) -> None:
    await run_import(user_import, [{**ANN, **TODAY}, BOB, {**EXPORTED, **OLD}])
    first = await exported_with_hashes(storage)
    assert [record["password_hash"] for record in first] == [OLD["password_hash"], TODAY["password_hash"], None]
    elsewhere = ConflictingStorage()
    other = UserImport(elsewhere, clock, Uuid7Source(), IdnaDomainNames(), ReadableHasher())
    assert await run_import(other, first) == [ADDED] * 3
    assert await run_import(other, first) == [THERE] * 3
    assert await exported_with_hashes(elsewhere) == first


async def test_credentials_are_read_a_few_at_a_time_and_only_for_hashes(
    user_import: UserImport, storage: ConflictingStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch: list[RawRecord] = [
        {"email": f"u{n}@example.com", "name": "U", **(TODAY if n % 2 else {})} for n in range(100)
    ]
    await run_import(user_import, batch)
    reading, most, reads = 0, 0, 0

    async def get(_: object, user_id: UserId) -> Credential:
        nonlocal reading, most, reads
        reading, reads = reading + 1, reads + 1
        most = max(most, reading)
        await asyncio.sleep(0)
        reading -= 1
        return Credential(user_id, TODAY["password_hash"])

    monkeypatch.setattr(MemoryRecords, "get", get)
    assert await run_import(user_import, batch) == [THERE] * 100
    assert reads == 50
    assert 1 < most <= 8


async def test_a_storage_lost_while_credentials_are_read_is_reported_as_such(
    user_import: UserImport, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run_import(user_import, [{**ANN, **TODAY}])

    async def get(_: object, user_id: UserId) -> Credential:
        raise StorageUnavailable

    monkeypatch.setattr(MemoryRecords, "get", get)
    with pytest.raises(StorageUnavailable):
        await run_import(user_import, [{**ANN, **TODAY}])


def test_what_was_read_of_a_record_hides_its_hash(clock: ManualClock) -> None:
    parser = RecordParser(Uuid7Source(), IdnaDomainNames(), ReadableHasher())
    parsed = parser.parse({**ANN, **TODAY}, clock.now())
    assert parsed.password_hash == TODAY["password_hash"]
    assert "hash of" not in repr(parsed) + repr(parsed.credential)


@pytest.mark.parametrize("version", [True, 1.0, "1", 10**10, -1])
async def test_a_version_is_a_whole_number_from_one(user_import: UserImport, version: object) -> None:
    assert isinstance((await run_import(user_import, [{**BOB, "version": version}]))[0], Rejected)


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-20",
        "2026-11-20T20:36:00",
        "2026-11-20T20:36:00.1234Z",
        "2026-11-20T20:36:00+01:00",
        "2026-02-30T00:00:00Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T23:59:60Z",
        "1969-12-31T23:59:59Z",
        "２０２６-11-20T20:36:00Z",
        "",
    ],
)
async def test_a_time_that_could_not_be_kept_exactly_is_refused(user_import: UserImport, time: str) -> None:
    assert codes(await run_import(user_import, [{**BOB, "created_at": time}])) == [[("created_at", "invalid_time")]]


@pytest.mark.parametrize("time", ["2026-11-20T20:36:00.100Z", "2026-11-20t20:36:00.1z", "2026-11-20T20:36:00.10+00:00"])
async def test_one_given_time_counts_for_both(user_import: UserImport, storage: ConflictingStorage, time: str) -> None:
    await run_import(user_import, [{**BOB, "updated_at": time}, {**ANN, "created_at": time}])
    for record in await exported(storage):
        assert record["created_at"] == record["updated_at"] == "2026-11-20T20:36:00.100Z"


async def test_a_user_cannot_have_been_updated_before_they_were_created(user_import: UserImport) -> None:
    times = {"created_at": "2026-01-02T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    assert codes(await run_import(user_import, [{**BOB, **times}])) == [[("updated_at", "out_of_range")]]


async def test_what_an_unknown_field_is_called_is_made_fit_to_show(user_import: UserImport) -> None:
    (outcome,) = await run_import(user_import, [{**BOB, "\x1b[31m" + "x" * 10_000: 1}])
    assert isinstance(outcome, Rejected)
    assert outcome.errors[0].field == "?[31m" + "x" * 35


async def test_nothing_is_taken_beyond_a_batch(user_import: UserImport) -> None:
    with pytest.raises(ValueError, match=str(BATCH)):
        await run_import(user_import, [BOB] * (BATCH + 1))
    assert await run_import(user_import, []) == []


async def test_a_dry_run_reports_the_same_and_writes_nothing(
    dry_run: UserImport, user_import: UserImport, users: UserService
) -> None:
    await users.register(NewUser(email="ann@example.com", name="Ann", username="ann"))
    records: list[RawRecord] = [
        {"email": "ann@example.com", "name": "Ann"},
        ANN,
        BOB,
        BOB,
        {**BOB, "name": "Robert"},
        {"email": "x", "name": "X"},
        {"email": "new@example.com", "name": "N", "username": "ANN"},
        EXPORTED,
        {"email": "id@example.com", "name": "I", "id": EXPORTED["id"]},
        {"email": "zoe@example.com", "name": "Z", "username": "ZOE"},
        {**ANN, **TODAY},
        {"email": "eve@example.com", "name": "Eve", **TODAY},
        {"email": "eve@example.com", "name": "Eve", **OLD},
        {"email": "eve@example.com", "name": "Eve", "password_hash": "hash of another"},
        {"email": "eve@example.com", "name": "Eve", "password_hash": "of no known form"},
    ]
    dry_outcomes = await run_import(dry_run, records)
    assert await users.count() == 1
    assert dry_outcomes == await run_import(user_import, records)


async def test_a_dry_run_compares_batches_with_each_other(dry_run: UserImport, users: UserService) -> None:
    assert await run_import(dry_run, [BOB, EXPORTED]) == [ADDED, ADDED]
    outcomes = await run_import(dry_run, [BOB, {**EXPORTED, "email": "other@example.com"}, {**BOB, "bio": "New."}])
    assert codes(outcomes) == [THERE, [("id", "id_taken")], [("email", "email_taken")]]
    assert await users.count() == 0
