"""Steps that cases share: commits of one kind of write, and reading everything that is stored."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from adapters.storage_contract.samples import CONTRACT_TYPES
from domain.credential import CREDENTIALS, Credential
from domain.records import R, RecordType, Versioned
from domain.storage import Storage, UnitOfWork
from domain.user import User
from domain.values import UserId

Stored: TypeAlias = User | Versioned
"""A user, or a record of one of `CONTRACT_TYPES`."""

_TYPES: Final[Mapping[type, RecordType[Any]]] = {record_type.entity: record_type for record_type in CONTRACT_TYPES}


def stage_add(unit: UnitOfWork, *records: Stored) -> None:
    for record in records:
        _repository(unit, record).add(record)


def stage_save(unit: UnitOfWork, *records: Stored) -> None:
    for record in records:
        _repository(unit, record).save(record)


def stage_remove(unit: UnitOfWork, *records: Stored) -> None:
    for record in records:
        _repository(unit, record).remove(record)


def stage_require(unit: UnitOfWork, *records: Stored) -> None:
    for record in records:
        _repository(unit, record).require(record)


def _repository(unit: UnitOfWork, record: Stored) -> Any:
    return unit.users if isinstance(record, User) else unit.records(_TYPES[type(record)])


async def add(storage: Storage, *records: Stored) -> None:
    unit = storage.unit_of_work()
    stage_add(unit, *records)
    await unit.commit()


async def save(storage: Storage, *records: Stored) -> None:
    unit = storage.unit_of_work()
    stage_save(unit, *records)
    await unit.commit()


async def remove(storage: Storage, *records: Stored) -> None:
    unit = storage.unit_of_work()
    stage_remove(unit, *records)
    await unit.commit()


async def stored_user(storage: Storage, user: User) -> User | None:
    return await storage.unit_of_work().users.get(user.id)


async def stored(storage: Storage, record: R) -> R | None:
    """Return the stored record with the key of this one."""
    record_type: RecordType[R] = _TYPES[type(record)]
    return await storage.unit_of_work().records(record_type).get(record_type.key_of(record))


async def stored_credential(storage: Storage, user: User) -> Credential | None:
    return await storage.unit_of_work().records(CREDENTIALS).get(user.id)


async def owned(storage: Storage, record_type: RecordType[R], owner: User) -> Sequence[R]:
    return list(await storage.unit_of_work().records(record_type).page(owner=owner.id, limit=1_000))


@dataclass(frozen=True, slots=True)
class StorageContents:
    users: Sequence[User]
    records: Mapping[str, Sequence[Versioned]]
    """The records of every type, by its name, in the order of their keys."""

    @classmethod
    def of(cls, *records: Stored) -> "StorageContents":
        """Return the contents of a storage to which only these were added."""
        users = sorted((record for record in records if isinstance(record, User)), key=lambda user: user.id)
        by_type: dict[str, Sequence[Versioned]] = {}
        for record_type in CONTRACT_TYPES:
            of_type = [record for record in records if isinstance(record, record_type.entity)]
            by_type[record_type.name] = sorted(of_type, key=record_type.key_of)
        return cls(users, by_type)


async def read_all(storage: Storage) -> StorageContents:
    """Read up to 1,000 users and records of each type, to detect any change."""
    unit = storage.unit_of_work()
    users = list(await unit.users.page(limit=1_000))
    records = {
        record_type.name: list(await unit.records(record_type).page(limit=1_000)) for record_type in CONTRACT_TYPES
    }
    return StorageContents(users, records)


async def outcomes(attempts: Sequence[Awaitable[None]]) -> Sequence[type[BaseException] | None]:
    """Run all concurrently; return the outcome of each: None for success, otherwise the exact type of the error."""
    results = await asyncio.gather(*attempts, return_exceptions=True)
    return [None if result is None else type(result) for result in results]


def assert_same(found: object, given: object) -> None:
    """Assert that a record was restored exactly, including the type of each value.

    Equality does not suffice: 1 equals True, "admin" equals Role.ADMIN, and times in different zones are equal.
    """
    assert found == given
    if isinstance(given, Mapping):
        assert isinstance(found, Mapping)
        for key, item in given.items():
            assert_same(found[key], item)
        return
    assert type(found) is type(given)
    if is_dataclass(given):
        for field in fields(given):
            assert_same(getattr(found, field.name), getattr(given, field.name))
    if isinstance(given, tuple):
        assert isinstance(found, tuple)
        for found_item, given_item in zip(found, given, strict=True):
            assert_same(found_item, given_item)
    if isinstance(given, datetime):
        assert isinstance(found, datetime)
        assert found.tzinfo is UTC
        assert found.isoformat() == given.isoformat()


def ids_of(users: Sequence[User]) -> list[UserId]:
    return [user.id for user in users]
