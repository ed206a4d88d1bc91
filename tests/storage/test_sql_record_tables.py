"""The SQL adapter only accepts a record type with a table that can store everything declared."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, Index, MetaData, String, Table, UniqueConstraint

from adapters.sql.storage import SqlStorage
from adapters.sql.tables import NAMING_CONVENTION, TABLES, owner, required
from adapters.sql.types import ExactText, Id, Json, LongText, UtcTime
from adapters.storage_contract.samples import CONTRACT_TYPES
from adapters.storage_plugin import RecordTypeNotSupported
from domain.errors import EmailTaken
from domain.record_types import RECORD_TYPES
from domain.records import MAX_KEY_BYTES, RecordType
from domain.values import UserId
from entrypoints.environment import SettingsError
from entrypoints.storage_by_url import open_storage

URL = "sqlite:///notes.db"


@dataclass(frozen=True)
class Note:
    id: str
    user_id: UserId
    label: str
    text: str | None
    tags: tuple[str, ...]
    expires_at: datetime
    version: int


NOTES = RecordType("notes", Note, key="id", owner="user_id", due="expires_at", unique={"label": EmailTaken})


def parts() -> dict[str, Any]:
    """Return the parts of a suitable table."""
    return {
        "id": required("id", ExactText(MAX_KEY_BYTES), primary_key=True),
        "user_id": owner("user_id"),
        "label": required("label", ExactText(MAX_KEY_BYTES)),
        "text": Column("text", LongText),
        "tags": required("tags", Json),
        "expires_at": required("expires_at", UtcTime),
        "version": required("version", BigInteger),
        "unique label": UniqueConstraint("label"),
        "index by owner": Index(None, "user_id", "id"),
        "index by due": Index(None, "expires_at", "id"),
    }


def open_with(parts: Mapping[str, Any]) -> SqlStorage:
    table = Table("notes", MetaData(naming_convention=NAMING_CONVENTION), *parts.values())
    return SqlStorage.open(URL, (*RECORD_TYPES, NOTES), {**TABLES, "notes": table})


@pytest.mark.parametrize("record_type", RECORD_TYPES, ids=lambda it: it.name)
def test_every_declared_type_has_a_table_that_matches_it(record_type: RecordType[Any]) -> None:
    SqlStorage.open(URL, [record_type])


def test_a_table_that_matches_its_record_type_is_accepted() -> None:
    open_with(parts())


@pytest.mark.parametrize("name", parts())
def test_a_table_that_lacks_something_is_refused(name: str) -> None:
    rest = parts()
    del rest[name]
    if name in {"user_id", "id"}:
        del rest["index by owner"]
    if name in {"expires_at", "id"}:
        del rest["index by due"]
    if name == "label":
        del rest["unique label"]
    with pytest.raises(RecordTypeNotSupported, match=r"^the table notes does not match its record type: "):
        open_with(rest)


@pytest.mark.parametrize(
    ("name", "part"),
    {
        "nullable": ("label", Column("label", ExactText(MAX_KEY_BYTES))),
        "never null": ("text", required("text", LongText)),
        "too short a key": ("id", required("id", ExactText(MAX_KEY_BYTES - 1), primary_key=True)),
        "a key for ids alone": ("id", required("id", Id, primary_key=True)),
        "a key that a database compares": ("id", required("id", String(MAX_KEY_BYTES), primary_key=True)),
        "a text of some length": ("text", Column("text", String(100))),
        "an owner who is not a user": ("user_id", required("user_id", Id)),
        "another type": ("version", required("version", UtcTime)),
        "unique beyond what is declared": ("more", UniqueConstraint("text")),
        "a column beyond what is declared": ("more", Column("more", LongText)),
        "an index in another order": ("index by due", Index(None, "id", "expires_at")),
    }.values(),
)
def test_a_table_that_cannot_keep_what_is_declared_is_refused(name: str, part: Any) -> None:
    with pytest.raises(RecordTypeNotSupported, match=r"^the table notes does not match its record type: "):
        open_with({**parts(), name: part})


def test_a_type_without_a_table_is_reported_in_one_line() -> None:
    with pytest.raises(SettingsError) as refused:
        open_storage(URL, CONTRACT_TYPES)
    assert str(refused.value) == "the record type samples has no table: declare it in adapters/sql/tables.py"
