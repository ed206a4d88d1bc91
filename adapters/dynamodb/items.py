"""The items of the table, and how they are written as DynamoDB's attribute values.

    users              <user id>                  the user, or the tombstone of one whose records are being purged
    emails             <canonical email>          owner
    usernames          <canonical username>       owner
    names              <folded name> NUL <id>     owner
    admins             <user id>                  owner: a user who is an admin, and active
    records#<type>     <key>                      an ownerless record, or the owner and key of one that has an owner
    owned#<type>#<owner>       <key>              a record that has an owner
    unique#<type>#<field>      <value>            the owner and key of the record with this value
    due#<type>         <time>#<key>               the owner and key of a record that is due at this time
    parts#<record's pk>#<sk>   <rev>#<number>     a part of the body of a large record
    removals           <user id>                  owner: a user whose records are being purged
    transactions       <id>                       the state of a commit of several transactions; see `intents`
    transaction#<id>   <number>                   the keys that a part of it touches
    schema             version                    the version of this list that the table is prepared for

Users and records carry `rev`, the id of the commit that wrote them last.

The body of a record is a JSON text. A large one is stored in separate parts, because an item has at most 400 KB, and an
item with a write intent holds two images. Parts never change: each version of a record has its own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias, TypeGuard

from adapters.user_values import USER_FIELDS, user_from_json, user_to_json
from domain.errors import DomainError, EmailTaken, UsernameTaken
from domain.records import MIN_TIME, R, RecordType
from domain.user import Role, User
from domain.values import SearchPrefix, fold

Image: TypeAlias = Mapping[str, Any]
"""The attributes of an item except its key: texts, numbers, booleans, None, and lists and mappings of them."""


class Key(NamedTuple):
    pk: str
    sk: str


Index: TypeAlias = dict[Key, type[DomainError] | None]
"""The keys of the items that point to a user or a record, with the error for a unique one that is taken."""

SCHEMA_KEY: Final = Key("schema", "version")
PARTS: Final = "parts#"
MAX_PART_BYTES: Final = 300_000

_MILLISECOND: Final = timedelta(milliseconds=1)
_TIME_DIGITS: Final = 15  # milliseconds since MIN_TIME, enough for Python's last year
_MAX_INLINE_BYTES: Final = 40_000  # 100 of these fit into a transaction of 4 MB
_MAX_BYTES_PER_CHARACTER: Final = 4  # of UTF-8
_PART_CHARACTERS: Final = MAX_PART_BYTES // _MAX_BYTES_PER_CHARACTER

INDEX_ATTRIBUTES: Final = ("pk", "sk", "rev", "unique", "due", "parts", "tx", "next")
"""The attributes from which the keys of a record's other items follow."""

_MAX_SORT_KEY_BYTES: Final = 1_024  # a search prefix may be longer, unlike an email or a folded name

ADMINS: Final = "admins"
REMOVALS: Final = "removals"


def is_listed(key: Key) -> bool:
    """Return whether an item is a user or an owned record, which range queries list."""
    return key.pk == "users" or key.pk.startswith("owned#")


def part_keys(record_key: Key, image: Image) -> Sequence[Key]:
    """Return the keys of the parts that hold the body of a large record."""
    pk, sk = record_key
    return [Key(f"{PARTS}{pk}#{sk}", f"{image['rev']}#{number}") for number in range(image.get("parts", 0))]


def user_key(user_id: str) -> Key:
    return Key("users", user_id)


def email_key(canonical: str) -> Key:
    return Key("emails", canonical)


def username_key(canonical: str) -> Key:
    return Key("usernames", canonical)


def name_key(image: Image, user_id: str) -> Key:
    return Key("names", f"{fold(image['name'])}\0{user_id}")


def removal_key(user_id: str) -> Key:
    return Key(REMOVALS, user_id)


@dataclass(frozen=True, slots=True)
class UserRef:
    """The keys of a user's items."""

    user_id: str
    owner_key: ClassVar = None

    @property
    def item_key(self) -> Key:
        return user_key(self.user_id)

    @property
    def index_image(self) -> Image:
        """Return the image of every item that points to this user."""
        return {"owner": self.user_id}

    def index(self, image: Image) -> Index:
        if not is_user(image):
            return {}
        index: Index = {email_key(image["email_key"]): EmailTaken, name_key(image, self.user_id): None}
        if "username_key" in image:
            index[username_key(image["username_key"])] = UsernameTaken
        if is_active_admin(image):
            index[Key(ADMINS, self.user_id)] = None
        return index


def search_ranges(prefix: SearchPrefix) -> Sequence[Key]:
    """Return the partitions and sort-key prefixes in which a search prefix is looked up."""
    fits = len(prefix.encode()) <= _MAX_SORT_KEY_BYTES
    return [Key(partition, prefix) for partition in ("names", "emails", "usernames")] if fits else []


def is_user(image: Image | None) -> TypeGuard[Image]:
    """Return whether an image is a user, rather than missing or a tombstone."""
    return image is not None and "version" in image


def owns(user: Image | None, record: Image) -> bool:
    """Return whether a record belongs to this user, rather than to a removed one with the same id."""
    return is_user(user) and user.get("purging") in {None, record["rev"]}


def is_active_admin(image: Image) -> bool:
    return is_user(image) and bool(image["active"]) and image["role"] == Role.ADMIN


def user_image(user: User) -> Image:
    """Return the image of a user, without `rev`."""
    return {name: value for name, value in user_to_json(user).items() if name != "id" and value is not None}


def user_from(user_id: str, image: Image) -> User:
    return user_from_json(map({**image, "id": user_id}.get, USER_FIELDS))


@dataclass(frozen=True, slots=True)
class RecordRef:
    """The keys of a record's items."""

    record_type: RecordType[Any]
    owner: str | None
    key: str

    @property
    def item_key(self) -> Key:
        return self.pointer_key if self.owner is None else Key(owned_partition(self.record_type, self.owner), self.key)

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

    def index(self, image: Image) -> Index:
        values = image.get("unique", {}).items()
        index: Index = {
            unique_key(self.record_type, field, value): self.record_type.unique[field] for field, value in values
        }
        if "due" in image:
            index[Key(f"due#{self.record_type.name}", f"{image['due']}#{self.key}")] = None
        return index


def unique_key(record_type: RecordType[Any], field: str, value: str) -> Key:
    return Key(f"unique#{record_type.name}#{field}", value)


def owned_partition(record_type: RecordType[Any], owner: str) -> str:
    return f"owned#{record_type.name}#{owner}"


def record_image(record_type: RecordType[R], record: R) -> Image:
    """Return the image of a record, without `rev`. Raise `InvalidRecord`."""
    body = json.dumps(record_type.to_json(record), ensure_ascii=False, separators=(",", ":"))
    image: dict[str, Any] = {"version": record.version, "body": body}
    if unique := record_type.unique_values_of(record):
        image["unique"] = unique
    if due := record_type.due_of(record):
        image["due"] = time_text(due)
    return image


def in_parts(image: Image) -> tuple[Image, Sequence[str]]:
    """Return an image without its body, if that is large, and the parts of the body."""
    body = image.get("body", "")  # a user has none
    if _MAX_BYTES_PER_CHARACTER * len(body) <= _MAX_INLINE_BYTES or len(body.encode()) <= _MAX_INLINE_BYTES:
        return image, ()
    parts = [body[start : start + _PART_CHARACTERS] for start in range(0, len(body), _PART_CHARACTERS)]
    return {**{name: value for name, value in image.items() if name != "body"}, "parts": len(parts)}, parts


def time_text(moment: datetime) -> str:
    """Return a text that sorts like the time."""
    return f"{(moment - MIN_TIME) // _MILLISECOND:0{_TIME_DIGITS}}"


def encoded(value: Any) -> dict[str, Any]:
    """Return a value as a DynamoDB attribute value."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": str(value)}
        case list():
            return {"L": [encoded(part) for part in value]}
        case _:
            return {"M": {name: encoded(part) for name, part in value.items()}}


def decoded(attribute: Mapping[str, Any]) -> Any:
    """Return the value from the result of `encoded`."""
    ((kind, value),) = attribute.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return int(value)
        case "L":
            return [decoded(part) for part in value]
        case "M":
            return {name: decoded(part) for name, part in value.items()}
        case _:
            return value


def encoded_key(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def encoded_item(key: Key, image: Image) -> dict[str, Any]:
    return encoded_key(key) | {name: encoded(value) for name, value in image.items()}


def decoded_item(item: Mapping[str, Any]) -> tuple[Key, Image]:
    image = {name: decoded(value) for name, value in item.items()}
    return Key(image.pop("pk"), image.pop("sk")), image
