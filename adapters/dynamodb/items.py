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
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

Image: TypeAlias = Mapping[str, Any]
"""The attributes of an item except its key: texts, numbers, booleans, None, and lists and mappings of them."""


class Key(NamedTuple):
    pk: str
    sk: str


SCHEMA_KEY: Final = Key("schema", "version")
PARTS: Final = "parts#"
MAX_PART_BYTES: Final = 300_000


def is_listed(key: Key) -> bool:
    """Return whether an item is a user or an owned record, which range queries list."""
    return key.pk == "users" or key.pk.startswith("owned#")


def part_keys(record_key: Key, image: Image) -> Sequence[Key]:
    """Return the keys of the parts that hold the body of a large record."""
    pk, sk = record_key
    return [Key(f"{PARTS}{pk}#{sk}", f"{image['rev']}#{number}") for number in range(image.get("parts", 0))]


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
