import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from botocore.exceptions import ClientError

from adapters.dynamodb.actions import Action, Expression, placeholders
from adapters.dynamodb.address import Address
from adapters.dynamodb.client import MAX_PAUSE_SECONDS, RetryingClient
from adapters.dynamodb.failures import ConditionCheckFailed, code_of, unexpected
from adapters.dynamodb.items import Image, Key, decoded_item, encoded_key
from adapters.resilience import Backoff, gather_bounded
from domain.errors import StorageUnavailable

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_dynamodb.type_defs import BatchGetItemOutputTypeDef, QueryOutputTypeDef

_MAX_KEYS: Final = 100  # DynamoDB's limit

_MAX_ITEMS_IN_RESPONSE: Final = 3_000
"""Without a limit, DynamoDB Local reads the whole rest of a range for each response of 1 MB, and blocks all others."""

_READY_TIMEOUT_SECONDS: Final = 120
_POLL_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Range:
    """A range of one partition: a prefix of the sort key, or bounds, in either direction."""

    pk: str
    beginning: str = ""
    after: str | None = None
    before: str | None = None
    """Requires an ascending range."""
    descending: bool = False

    def condition(self) -> Expression:
        if self.before is not None:
            first = f"{self.after or ''}\0"  # the first key after it
            return Expression(
                "#pk = :pk AND #sk BETWEEN :first AND :last", {"pk": self.pk, "first": first, "last": self.before}
            )
        if self.beginning:
            return Expression("#pk = :pk AND begins_with(#sk, :sk)", {"pk": self.pk, "sk": self.beginning})
        if self.after is not None:
            sign = "<" if self.descending else ">"
            return Expression(f"#pk = :pk AND #sk {sign} :sk", {"pk": self.pk, "sk": self.after})
        return Expression("#pk = :pk", {"pk": self.pk})


class Table:
    """One table of DynamoDB. All reads are strongly consistent."""

    def __init__(self, address: Address) -> None:
        self._name = address.table
        self._call = RetryingClient(address.region, address.endpoint)
        self.limiter: Final = self._call.limiter

    async def read(self, keys: Collection[Key]) -> dict[Key, Image]:
        """Return the items that exist."""
        chosen = list(dict.fromkeys(keys))
        if len(chosen) == 1:
            return await self._read_one(chosen[0])
        parts = [chosen[start : start + _MAX_KEYS] for start in range(0, len(chosen), _MAX_KEYS)]
        found: dict[Key, Image] = {}
        for some in await gather_bounded(partial(self._read_some, part) for part in parts):
            found |= some
        return found

    async def query(
        self, within: Range, *, only: Collection[str] = (), limit: int | None = None, start: Key | None = None
    ) -> tuple[Sequence[tuple[Key, Image]], Key | None]:
        """Return the next items of a range, or some of their attributes, and the key to continue after."""
        answer = await self._call(partial(_query, self._query(within, limit, start, only)))
        return [decoded_item(item) for item in answer["Items"]], _last_key(answer)

    async def query_all(self, within: Range, *, only: Collection[str] = ()) -> Sequence[tuple[Key, Image]]:
        """Return all items of a range, or some of their attributes."""
        items, start = await self.query(within, only=only)
        found = list(items)
        while start is not None:
            items, start = await self.query(within, only=only, start=start)
            found += items
        return found

    async def count(self, within: Range, those: Expression) -> int | None:
        """Return the number of items in a range, or None if any item does not satisfy `those`."""
        total, start = 0, None
        while True:
            request = self._query(within, None, start) | placeholders(within.condition(), those)
            request |= {"Select": "COUNT", "FilterExpression": those.text}
            answer = await self._call(partial(_query, request))
            if answer["Count"] != answer["ScannedCount"]:
                return None
            total += answer["Count"]
            start = _last_key(answer)
            if start is None:
                return total

    async def transact(self, actions: Sequence[Action]) -> None:
        """Apply all actions or none. Raise `ConditionCheckFailed` when an item does not satisfy its condition."""
        requests: list[Any] = [action.request(self._name) for action in actions]
        token = str(uuid4())  # identifies a retry after a lost response

        async def call(client: "DynamoDBClient") -> None:
            try:
                await client.transact_write_items(TransactItems=requests, ClientRequestToken=token)
            except ClientError as error:
                found = unexpected(error, [action.key for action in actions])
                if found:
                    raise ConditionCheckFailed(found) from None
                raise

        await self._call(call)

    async def create(self) -> None:
        """Create the table unless it exists, and wait until it is usable."""

        async def create(client: "DynamoDBClient") -> None:
            try:
                await client.create_table(
                    TableName=self._name,
                    KeySchema=[
                        {"AttributeName": "pk", "KeyType": "HASH"},
                        {"AttributeName": "sk", "KeyType": "RANGE"},
                    ],
                    AttributeDefinitions=[
                        {"AttributeName": "pk", "AttributeType": "S"},
                        {"AttributeName": "sk", "AttributeType": "S"},
                    ],
                    BillingMode="PAY_PER_REQUEST",
                )
            except ClientError as error:
                if code_of(error) != "ResourceInUseException":
                    raise

        async def status(client: "DynamoDBClient") -> str:
            try:
                return (await client.describe_table(TableName=self._name))["Table"]["TableStatus"]
            except ClientError as error:
                if code_of(error) != "ResourceNotFoundException":
                    raise
                return "CREATING"  # a new table is not known everywhere at once

        await self._call(create)
        try:
            async with asyncio.timeout(_READY_TIMEOUT_SECONDS):
                while await self._call(status) not in {"ACTIVE", "UPDATING"}:  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise StorageUnavailable from None

    async def close(self) -> None:
        await self._call.close()

    async def _read_one(self, key: Key) -> dict[Key, Image]:
        answer = await self._call(
            lambda client: client.get_item(TableName=self._name, Key=encoded_key(key), ConsistentRead=True)
        )
        return {key: decoded_item(answer["Item"])[1]} if "Item" in answer else {}

    async def _read_some(self, keys: Sequence[Key]) -> dict[Key, Image]:
        found: dict[Key, Image] = {}
        wanted: dict[str, Any] = {self._name: {"Keys": list(map(encoded_key, keys)), "ConsistentRead": True}}
        backoff = Backoff(MAX_PAUSE_SECONDS)
        while True:
            answer = await self._call(partial(_read, wanted))
            found |= map(decoded_item, answer["Responses"].get(self._name, ()))
            wanted = dict(answer.get("UnprocessedKeys", {}))
            if not wanted:
                break
            await backoff.pause()  # the capacity did not suffice for all of them
        return found

    def _query(self, within: Range, limit: int | None, start: Key | None, only: Collection[str] = ()) -> dict[str, Any]:
        condition, projection = within.condition(), Expression(", ".join(f"#{name}" for name in only))
        request: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": condition.text,
            "ConsistentRead": True,
            "ScanIndexForward": not within.descending,
            **placeholders(condition, projection),
        }
        if only:
            request["ProjectionExpression"] = projection.text
        request["Limit"] = min(limit or _MAX_ITEMS_IN_RESPONSE, _MAX_ITEMS_IN_RESPONSE)
        if start is not None:
            request["ExclusiveStartKey"] = encoded_key(start)
        return request


async def _query(request: dict[str, Any], client: "DynamoDBClient") -> "QueryOutputTypeDef":
    return await client.query(**request)


async def _read(request: dict[str, Any], client: "DynamoDBClient") -> "BatchGetItemOutputTypeDef":
    return await client.batch_get_item(RequestItems=request)


def _last_key(answer: "QueryOutputTypeDef") -> Key | None:
    key = answer.get("LastEvaluatedKey")
    return decoded_item(key)[0] if key else None
