"""The items of records: their keys and images, derived from the declaration of their type.

The body of a record is one text of JSON. A large one lies in parts of its own, because an item has at most 400 KB, and
one with a write intent holds two images. Parts never change: each version of a record has its own.
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
_TIME_DIGITS: Final = 15  # of milliseconds since MIN_TIME, enough for the last year of Python
_MAX_INLINE_BYTES: Final = 40_000  # 100 of these fit in a transaction, which takes 4 MB
_MAX_BYTES_PER_CHARACTER: Final = 4  # of UTF-8
_PART_CHARACTERS: Final = MAX_PART_BYTES // _MAX_BYTES_PER_CHARACTER

INDEX_ATTRIBUTES: Final = ("pk", "sk", "rev", "unique", "due", "parts", "tx", "next")
"""What has to be read of a record to find the items that belong to it."""


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
        """Return the key of the item that leads from the record's key to the record, or is the record itself."""
        return Key(f"records#{self.record_type.name}", self.key)

    @property
    def owner_key(self) -> Key | None:
        return None if self.owner is None else user_key(self.owner)

    @property
    def index_image(self) -> Image:
        """Return what each item holds that leads to this record."""
        return {"key": self.key} if self.owner is None else {"key": self.key, "owner": self.owner}

    def unique_keys(self, image: Image) -> Mapping[Key, type[DomainError]]:
        """Return the keys by which a record is found by its unique fields, with the error if one is taken."""
        name = self.record_type.name
        values = image.get("unique", {}).items()
        return {Key(f"unique#{name}#{field}", value): self.record_type.unique[field] for field, value in values}

    def index_keys(self, image: Image) -> Sequence[Key]:
        """Return the keys by which a record is found, other than by its own."""
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
        """Return the record that an index item leads to."""
        return RecordRef(self.record_type, index.get("owner"), index["key"])

    @property
    def all(self) -> Range:
        return Range(f"records#{self.record_type.name}")

    def owned_by(self, owner: str) -> Range:
        return Range(RecordRef(self.record_type, owner, "").item_key.pk)

    def due_until(self, moment: datetime) -> Range:
        return Range(f"due#{self.record_type.name}", before=f"{time_text(moment)}$")  # which comes after '#'

    def image(self, record: R) -> Image:
        """Return what is stored of a record, but for `rev`; raises `InvalidRecord`."""
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
    """Take a large body out of an image; return the image without it, and the body's parts."""
    body = image["body"]
    if _MAX_BYTES_PER_CHARACTER * len(body) <= _MAX_INLINE_BYTES or len(body.encode()) <= _MAX_INLINE_BYTES:
        return image, ()
    parts = [body[start : start + _PART_CHARACTERS] for start in range(0, len(body), _PART_CHARACTERS)]
    return {**{name: value for name, value in image.items() if name != "body"}, "parts": len(parts)}, parts


def time_text(moment: datetime) -> str:
    """Return a text that sorts as the time does."""
    return f"{(moment - MIN_TIME) // _MILLISECOND:0{_TIME_DIGITS}}"
