"""The items of records: their keys and images, derived from the declaration of their type.

The body of a record is a JSON text. A large one is stored in separate parts, because an item has at most 400 KB, and an
item with a write intent holds two images. Parts never change: each version of a record has its own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic

from adapters.dynamodb.items import MAX_PART_BYTES, Image, Key, part_keys
from adapters.dynamodb.table import Range
from adapters.dynamodb.user_items import user_key
from domain.errors import DomainError
from domain.records import MIN_TIME, R, RecordType

_MILLISECOND: Final = timedelta(milliseconds=1)
_TIME_DIGITS: Final = 15  # milliseconds since MIN_TIME, enough for Python's last year
_MAX_INLINE_BYTES: Final = 40_000  # 100 of these fit into a transaction of 4 MB
_MAX_BYTES_PER_CHARACTER: Final = 4  # of UTF-8
_PART_CHARACTERS: Final = MAX_PART_BYTES // _MAX_BYTES_PER_CHARACTER

INDEX_ATTRIBUTES: Final = ("pk", "sk", "rev", "unique", "due", "parts", "tx", "next")
"""The attributes from which the keys of a record's other items follow."""


@dataclass(frozen=True, slots=True)
class RecordRef:
    """The keys of a record's items."""

    record_type: RecordType[Any]
    owner: str | None
    key: str

    @property
    def item_key(self) -> Key:
        name = self.record_type.name
        return Key(f"records#{name}" if self.owner is None else f"owned#{name}#{self.owner}", self.key)

    @property
    def pointer_key(self) -> Key:
        """Return the key of the item found by the record's key: a pointer to the record, or the record itself."""
        return Key(f"records#{self.record_type.name}", self.key)

    @property
    def owner_key(self) -> Key | None:
        return None if self.owner is None else user_key(self.owner)

    @property
    def index_image(self) -> Image:
        """Return the image of every item that points to this record."""
        return {"key": self.key} if self.owner is None else {"key": self.key, "owner": self.owner}

    def unique_keys(self, image: Image) -> Mapping[Key, type[DomainError]]:
        """Return the keys for the record's unique values, with the error for a value that is taken."""
        name = self.record_type.name
        values = image.get("unique", {}).items()
        return {Key(f"unique#{name}#{field}", value): self.record_type.unique[field] for field, value in values}

    def index_keys(self, image: Image) -> Sequence[Key]:
        """Return the keys of all index items of a record."""
        return [*self.unique_keys(image), *self.due_keys(image)]

    def due_keys(self, image: Image) -> Sequence[Key]:
        return [Key(f"due#{self.record_type.name}", f"{image['due']}#{self.key}")] if "due" in image else []

    def part_keys(self, image: Image) -> Sequence[Key]:
        return part_keys(self.item_key, image)


class RecordItems(Generic[R]):
    def __init__(self, record_type: RecordType[R]) -> None:
        self.record_type: Final = record_type

    def ref(self, record: R) -> RecordRef:
        owner = self.record_type.owner_of(record)
        return RecordRef(self.record_type, None if owner is None else str(owner), self.record_type.key_of(record))

    def indexed(self, index: Image) -> RecordRef:
        """Return the record that an index item points to."""
        return RecordRef(self.record_type, index.get("owner"), index["key"])

    @property
    def all(self) -> Range:
        return Range(f"records#{self.record_type.name}")

    def owned_by(self, owner: str) -> Range:
        return Range(RecordRef(self.record_type, owner, "").item_key.pk)

    def due_until(self, moment: datetime) -> Range:
        return Range(f"due#{self.record_type.name}", before=f"{time_text(moment)}$")  # `$` follows `#`

    def image(self, record: R) -> Image:
        """Return the image of a record, without `rev`. Raise `InvalidRecord`."""
        body = json.dumps(self.record_type.to_json(record), ensure_ascii=False, separators=(",", ":"))
        values: dict[str, Any] = {"version": record.version, "body": body}
        if unique := self.record_type.unique_values_of(record):
            values["unique"] = unique
        if due := self.record_type.due_of(record):
            values["due"] = time_text(due)
        return values

    def restored(self, image: Image) -> R:
        return self.record_type.from_json(json.loads(image["body"]))


def in_parts(image: Image) -> tuple[Image, Sequence[str]]:
    """Return an image without its body, if that is large, and the parts of the body."""
    body = image["body"]
    if _MAX_BYTES_PER_CHARACTER * len(body) <= _MAX_INLINE_BYTES or len(body.encode()) <= _MAX_INLINE_BYTES:
        return image, ()
    parts = [body[start : start + _PART_CHARACTERS] for start in range(0, len(body), _PART_CHARACTERS)]
    return {**{name: value for name, value in image.items() if name != "body"}, "parts": len(parts)}, parts


def time_text(moment: datetime) -> str:
    """Return a text that sorts like the time."""
    return f"{(moment - MIN_TIME) // _MILLISECOND:0{_TIME_DIGITS}}"
