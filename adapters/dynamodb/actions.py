"""The actions of a transaction, each on one item."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from adapters.dynamodb.items import MAX_PART_BYTES, PARTS, Image, Key, encoded, encoded_item, encoded_key

MAX_ACTIONS: Final = 100  # DynamoDB's limit
_MAX_BYTES: Final = 900_000  # per request; DynamoDB's limit is 4 MB, but the driver complains about bodies over 1 MiB
_PART_WEIGHT: Final = MAX_PART_BYTES // 4  # keeps the parts that a transaction deletes below 4 MB


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition or update expression: `#name` is an attribute, `:name` a value."""

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)


NO_INTENT: Final = Expression("attribute_not_exists(#tx)")
ABSENT: Final = Expression("attribute_not_exists(#pk)")
ALIVE: Final = Expression("attribute_exists(#version) AND attribute_not_exists(#purging) AND attribute_not_exists(#tx)")
"""The item is a user who may own records."""


def still(image: Image | None) -> Expression:
    """Return the condition that an item still has this image, and no write intent of another commit."""
    if image is None:
        return ABSENT
    same = {"rev": image["rev"]} if "rev" in image else image
    equal = [f"#{name} = :{name}" for name in same]
    return Expression(" AND ".join((*equal, NO_INTENT.text)), same)


@dataclass(frozen=True, slots=True)
class Action:
    verb: Literal["Put", "Delete", "Update", "ConditionCheck"]
    key: Key
    condition: Expression | None = None
    image: Image = field(default_factory=dict)
    change: Expression | None = None

    def request(self, table: str) -> dict[str, Any]:
        body: dict[str, Any] = {"TableName": table}
        if self.verb == "Put":
            body["Item"] = encoded_item(self.key, self.image)
        else:
            body["Key"] = encoded_key(self.key)
        if self.change is not None:
            body["UpdateExpression"] = self.change.text
        if self.condition is not None:
            body |= {"ConditionExpression": self.condition.text, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        return {self.verb: body | placeholders(*filter(None, (self.condition, self.change)))}

    @property
    def size(self) -> int:
        """Return the estimated size in bytes of what the action sends, or of what it makes DynamoDB read."""
        carried = len(json.dumps(self.image)) + (len(json.dumps(self.change.values)) if self.change else 0)
        return max(carried, _PART_WEIGHT) if self.key.pk.startswith(PARTS) else carried


def placeholders(*expressions: Expression) -> dict[str, Any]:
    names = {name for expression in expressions for name in re.findall(r"#(\w+)", expression.text)}
    values = {name: value for expression in expressions for name, value in expression.values.items()}
    attributes: dict[str, Any] = {}
    if names:
        attributes["ExpressionAttributeNames"] = {f"#{name}": name for name in names}
    if values:
        attributes["ExpressionAttributeValues"] = {f":{name}": encoded(value) for name, value in values.items()}
    return attributes


def fits_in_one(actions: Sequence[Action]) -> bool:
    return len(actions) <= MAX_ACTIONS and sum(action.size for action in actions) <= _MAX_BYTES


def split(actions: Iterable[Action], *, spare: int = 0) -> Iterator[Sequence[Action]]:
    """Group actions into transactions, each with room for `spare` more actions."""
    part: list[Action] = []
    size = 0
    for action in actions:
        if part and (len(part) == MAX_ACTIONS - spare or size + action.size > _MAX_BYTES):
            yield part
            part, size = [], 0
        part.append(action)
        size += action.size
    if part:
        yield part
