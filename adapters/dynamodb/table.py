import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import uuid4

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError

from adapters.dynamodb.actions import Action, Expression, placeholders
from adapters.dynamodb.address import Address
from adapters.dynamodb.failures import Failure, Refused, code_of, failure_of, unexpected
from adapters.dynamodb.items import Image, Key, decoded_item, encoded_key
from domain.errors import StorageUnavailable, TooBusy

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_dynamodb.type_defs import BatchGetItemOutputTypeDef, QueryOutputTypeDef

T = TypeVar("T")

MOST_AT_ONCE: Final = 8
"""How many parts of a large piece of work are under way at once."""

_CONNECTIONS: Final = 32
_QUEUE_TIMEOUT_SECONDS: Final = 5
_CONNECT_TIMEOUT_SECONDS: Final = 2
_READ_TIMEOUT_SECONDS: Final = 5
_CALL_TIMEOUT_SECONDS: Final = 8
_MOST_TIMES_LOST: Final = 5
_LONGEST_PAUSE_SECONDS: Final = 0.5
_MOST_KEYS: Final = 100  # DynamoDB's limit
_READY_TIMEOUT_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Range:
    """A part of one partition: what begins so, or lies behind a sort key, in either direction."""

    pk: str
    beginning: str = ""
    after: str | None = None
    descending: bool = False

    def condition(self) -> Expression:
        if self.beginning:
            return Expression("#pk = :pk AND begins_with(#sk, :sk)", {"pk": self.pk, "sk": self.beginning})
        if self.after is not None:
            sign = "<" if self.descending else ">"
            return Expression(f"#pk = :pk AND #sk {sign} :sk", {"pk": self.pk, "sk": self.after})
        return Expression("#pk = :pk", {"pk": self.pk})


class Table:
    """The calls that are made of DynamoDB, on one table: bounded in number and time, repeated where that helps.

    Every failure comes out as a domain error, but for the `Refused` of a transaction. All reads are consistent.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._name = address.table
        self._client: DynamoDBClient | None = None
        self._opening = asyncio.Lock()
        self._ends = AsyncExitStack()
        self._free = asyncio.Semaphore(_CONNECTIONS)
        self.calls_under_way = 0

    async def read(self, keys: Collection[Key]) -> dict[Key, Image]:
        """Read the items that are there."""
        chosen = list(dict.fromkeys(keys))
        if len(chosen) == 1:
            return await self._read_one(chosen[0])
        parts = [chosen[start : start + _MOST_KEYS] for start in range(0, len(chosen), _MOST_KEYS)]
        found: dict[Key, Image] = {}
        for some in await all_of(partial(self._read_some, part) for part in parts):
            found |= some
        return found

    async def query(
        self, within: Range, *, only: Collection[str] = (), limit: int | None = None, start: Key | None = None
    ) -> tuple[Sequence[tuple[Key, Image]], Key | None]:
        """Read the next items of a range, or only some of their attributes, and where to start for more."""
        request = self._query(within, limit, start, Expression(", ".join(f"#{name}" for name in only)))
        answer = await self._call(partial(_query, request))
        return [decoded_item(item) for item in answer["Items"]], _last_key(answer)

    async def query_all(self, within: Range, *, only: Collection[str] = ()) -> Sequence[tuple[Key, Image]]:
        """Read all items of a range, or only some of their attributes."""
        items, start = await self.query(within, only=only)
        found = list(items)
        while start is not None:
            items, start = await self.query(within, only=only, start=start)
            found += items
        return found

    async def count(self, within: Range, those: Expression) -> int | None:
        """Count a range if it holds nothing but `those`, else tell None."""
        told = placeholders(within.condition(), those)
        total, start = 0, None
        while True:
            request = (
                self._query(within, None, start, Expression(""))
                | {"Select": "COUNT", "FilterExpression": those.text}
                | told
            )
            answer = await self._call(partial(_query, request))
            if answer["Count"] != answer["ScannedCount"]:
                return None
            total += answer["Count"]
            start = _last_key(answer)
            if start is None:
                return total

    async def transact(self, actions: Sequence[Action]) -> None:
        """Do all or nothing; raises `Refused` when an item is not as its condition expects it."""
        requests: list[Any] = [action.request(self._name) for action in actions]
        token = str(uuid4())  # by which a repetition is known as such, should only the answer have been lost

        async def call(client: "DynamoDBClient") -> None:
            try:
                await client.transact_write_items(TransactItems=requests, ClientRequestToken=token)
            except ClientError as error:
                found = unexpected(error, [action.key for action in actions])
                if found:
                    raise Refused(found) from None
                raise

        await self._call(call)

    async def create(self) -> None:
        """Create the table unless it is there, and wait until it can be used."""

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
                return "CREATING"  # some moments pass until it is known everywhere

        await self._call(create)
        try:
            async with asyncio.timeout(_READY_TIMEOUT_SECONDS):
                while await self._call(status) not in {"ACTIVE", "UPDATING"}:  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(_LONGEST_PAUSE_SECONDS)
        except TimeoutError:
            raise StorageUnavailable from None

    async def close(self) -> None:
        await self._ends.aclose()
        self._client = None

    async def _read_one(self, key: Key) -> dict[Key, Image]:
        answer = await self._call(
            lambda client: client.get_item(TableName=self._name, Key=encoded_key(key), ConsistentRead=True)
        )
        return {key: decoded_item(answer["Item"])[1]} if "Item" in answer else {}

    async def _read_some(self, keys: Sequence[Key]) -> dict[Key, Image]:
        found: dict[Key, Image] = {}
        wanted: dict[str, Any] = {self._name: {"Keys": list(map(encoded_key, keys)), "ConsistentRead": True}}
        while wanted:
            answer = await self._call(partial(_read, wanted))
            found |= map(decoded_item, answer["Responses"].get(self._name, ()))
            wanted = dict(answer.get("UnprocessedKeys", {}))
        return found

    def _query(self, within: Range, limit: int | None, start: Key | None, only: Expression) -> dict[str, Any]:
        condition = within.condition()
        request: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": condition.text,
            "ConsistentRead": True,
            "ScanIndexForward": not within.descending,
            **placeholders(condition, only),
        }
        if only.text:
            request["ProjectionExpression"] = only.text
        if limit is not None:
            request["Limit"] = limit
        if start is not None:
            request["ExclusiveStartKey"] = encoded_key(start)
        return request

    async def _call(self, call: "Callable[[DynamoDBClient], Awaitable[T]]") -> T:
        """Call until it succeeds, fails for good or takes too long."""
        failure = lost = Failure(StorageUnavailable(), True)
        times_lost = 0
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_SECONDS):
                for failures in count(1):
                    async with self._turn():
                        failure = lost
                        try:
                            return await call(await self._opened())
                        except (ClientError, BotoCoreError) as error:
                            failure = failure_of(error)
                    times_lost += isinstance(failure.meaning, StorageUnavailable)
                    if not failure.passing or times_lost == _MOST_TIMES_LOST:
                        break
                    await pause(failures)
        except TimeoutError:
            times_lost += failure is lost
        if times_lost and isinstance(failure.meaning, TooBusy):
            failure = lost  # what was lost may have been applied
        raise failure.meaning from failure.cause

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_QUEUE_TIMEOUT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise TooBusy from None
        self.calls_under_way += 1
        try:
            yield
        finally:
            self.calls_under_way -= 1
            self._free.release()

    async def _opened(self) -> "DynamoDBClient":
        async with self._opening:
            if self._client is None:
                endpoint = self._address.endpoint
                self._client = await self._ends.enter_async_context(
                    session().create_client(
                        "dynamodb",
                        region_name=self._address.region,
                        endpoint_url=endpoint,
                        config=AioConfig(
                            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
                            read_timeout=_READ_TIMEOUT_SECONDS,
                            max_pool_connections=_CONNECTIONS,
                            retries={"total_max_attempts": 1},  # ours know what may be repeated, and when to stop
                            parameter_validation=False,
                            warm_up_loader_caches=True,
                        ),
                    )
                )
            return self._client


async def pause(failures: int) -> None:
    """Wait for a moment, the longer the more failures there were; rivals part by chance."""
    longest = min(_LONGEST_PAUSE_SECONDS, 0.01 * 2.0**failures)
    await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - nothing is to be kept secret here


async def all_of(works: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """Do pieces of work, some at once; after a failure, end those that were begun and raise it."""
    free = asyncio.Semaphore(MOST_AT_ONCE)
    failures: list[Exception] = []
    results: list[T] = []

    async def do(work: Callable[[], Awaitable[T]]) -> None:
        async with free:
            if not failures:
                try:
                    results.append(await work())
                except Exception as failure:  # noqa: BLE001 - it is raised below
                    failures.append(failure)

    await asyncio.gather(*map(do, works))
    if failures:
        raise failures[0]
    return results


async def _query(request: dict[str, Any], client: "DynamoDBClient") -> "QueryOutputTypeDef":
    return await client.query(**request)


async def _read(request: dict[str, Any], client: "DynamoDBClient") -> "BatchGetItemOutputTypeDef":
    return await client.batch_get_item(RequestItems=request)


def _last_key(answer: "QueryOutputTypeDef") -> Key | None:
    key = answer.get("LastEvaluatedKey")
    return decoded_item(key)[0] if key else None


@cache
def session() -> AioSession:
    """Make one for the process: what it knows of AWS is read from many files."""
    return AioSession()
