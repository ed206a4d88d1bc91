"""Convert records to the rows of one table that has records of every type, as `user_values` does for users."""

from typing import Any

from domain.records import R, RecordType


def unique_columns(record_type: RecordType[Any]) -> dict[str, str]:
    """Return the column of each unique field: `unique_1`, `unique_2` or `unique_3`."""
    return {name: f"unique_{number}" for number, name in enumerate(record_type.unique, start=1)}


def record_to_row(record_type: RecordType[R], record: R) -> dict[str, Any]:
    """Return the record as JSON, and the columns that a store searches, with None in those that its type lacks.

    Raises:
        InvalidRecord: Some store could not keep the record.
    """
    unique = record_type.unique_values_of(record)
    return {
        "type_name": record_type.name,
        "key": record_type.key_of(record),
        "owner_id": record_type.owner_of(record),
        "due": record_type.due_of(record),
        "version": record.version,
        "content": record_type.to_json(record),
        **{column: unique.get(name) for name, column in unique_columns(record_type).items()},
    }
