from collections.abc import Mapping, Sequence
from typing import Final

from piccolo.columns import JSONB, BigInt, BigSerial, Boolean, ForeignKey, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.constraints import Unique
from piccolo.table import Table

from userport_piccolo.database import CURRENT_ENGINE


class ExactText(Text):
    """A text that is compared by code points, for every collation of the database."""

    @property
    def column_type(self) -> str:
        return 'TEXT COLLATE "C"'


class UserTable(Table, tablename="users", db=CURRENT_ENGINE):
    id = ExactText(primary_key=True)
    email = ExactText()
    email_key = ExactText(unique=True)
    name = ExactText()
    name_key = ExactText()
    username = ExactText(null=True, default=None)
    username_key = ExactText(null=True, default=None, unique=True)
    bio = ExactText(null=True, default=None)
    role = ExactText()
    active = Boolean()
    email_verified = Boolean()
    version = BigInt()
    created_at = Timestamptz()
    updated_at = Timestamptz()


class RecordTable(Table, tablename="records", db=CURRENT_ENGINE):
    """A record of any type: searched fields have columns, everything else is JSON."""

    id = BigSerial(primary_key=True)
    type_name = ExactText()
    key = ExactText()
    owner_id = ForeignKey(UserTable, on_delete=OnDelete.cascade, null=True)
    due = Timestamptz(null=True, default=None)
    version = BigInt()
    content = JSONB()
    unique_1 = ExactText(null=True, default=None)
    unique_2 = ExactText(null=True, default=None)
    unique_3 = ExactText(null=True, default=None)

    records_key = Unique(["type_name", "key"])
    records_unique_1 = Unique(["type_name", "unique_1"])
    records_unique_2 = Unique(["type_name", "unique_2"])
    records_unique_3 = Unique(["type_name", "unique_3"])


# Piccolo has no place for an index of several columns in a table.
_INDEXES: Final[Mapping[type[Table], Sequence[list[str]]]] = {
    UserTable: [["name_key"], ["role", "active", "id"]],
    RecordTable: [["owner_id", "type_name", "key"], ["type_name", "due", "key"]],
}


async def lock_schema() -> None:
    """Let one transaction at a time create tables: `IF NOT EXISTS` fails where two do so at once."""
    await UserTable.raw("SELECT pg_advisory_xact_lock({})", 0x706963636F6C6F)  # "piccolo"


async def create_tables() -> None:
    """Create what is missing."""
    for table, indexes in _INDEXES.items():
        if not await table.table_exists():
            await table.create_table()
        for columns in indexes:
            await table.create_index(columns, if_not_exists=True)
