"""The table of the contract's own record type; `prepare` creates it with userport's tables."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, MetaData, Table

from adapters.sql.storage import SqlStorage
from adapters.sql.tables import NAMING_CONVENTION, OPTIONS, TABLES, owner, required
from adapters.sql.types import ExactText, Json, LongBytes, LongText, UtcTime
from adapters.storage_contract.samples import CONTRACT_TYPES
from domain.records import MAX_KEY_BYTES

METADATA: Final = MetaData(naming_convention=NAMING_CONVENTION)

SAMPLES: Final = Table(
    "samples",
    METADATA,
    required("code", ExactText(MAX_KEY_BYTES), primary_key=True),
    owner("user_id"),
    Column("label", ExactText(MAX_KEY_BYTES), unique=True),
    required("serial", ExactText(MAX_KEY_BYTES), unique=True),
    required("text", LongText),
    Column("note", LongText),
    required("amount", BigInteger),
    Column("rank", BigInteger),
    required("flag", Boolean),
    Column("answer", Boolean),
    required("color", LongText),
    Column("shade", LongText),
    required("content", LongBytes),
    Column("digest", LongBytes),
    required("created_at", UtcTime),
    Column("due_at", UtcTime),
    required("tags", Json),
    required("moments", Json),
    Column("scores", Json),
    required("attributes", Json),
    required("history", Json),
    Column("parts", Json),
    required("version", BigInteger),
    Index(None, "user_id", "code"),
    Index(None, "due_at", "code"),
    **OPTIONS,
)


class StorageWithSamples(SqlStorage):
    async def prepare(self) -> None:
        await super().prepare()
        await self.database.migrate(METADATA.create_all)


def open_with_samples(url: str) -> StorageWithSamples:
    return StorageWithSamples.open(url, CONTRACT_TYPES, {**TABLES, SAMPLES.name: SAMPLES})
