import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from adapters.dynamodb.failures import Failure, failure_of
from adapters.resilience import is_raised_by
from domain.errors import StorageUnavailable, TooBusy

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

T = TypeVar("T")

_CONNECTIONS: Final = 32
_MAX_PARTS_AT_ONCE: Final = 8
_QUEUE_TIMEOUT_SECONDS: Final = 5
_CONNECT_TIMEOUT_SECONDS: Final = 2
_READ_TIMEOUT_SECONDS: Final = 5
_CALL_TIMEOUT_SECONDS: Final = 8
_RETRY_SECONDS: Final = 8
_MAX_TIMES_LOST: Final = 5
_MAX_PAUSE_SECONDS: Final = 0.5


class Calls:
    """Calls to DynamoDB: bounded in number and time, and repeated where that helps.

    Every failure of the driver comes out as a domain error.
    """

    def __init__(self, region: str, endpoint: str | None) -> None:
        self._region = region
        self._endpoint = endpoint
        self._client: DynamoDBClient | None = None
        self._opening = asyncio.Lock()
        self._ends = AsyncExitStack()
        self._free = asyncio.Semaphore(_CONNECTIONS)
        self.under_way = 0

    async def __call__(self, call: "Callable[[DynamoDBClient], Awaitable[T]]") -> T:
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
                        except Exception as error:
                            if not is_raised_by(error, "aiobotocore", "botocore", "aiohttp"):
                                raise
                            failure = failure_of(error)
                    times_lost += isinstance(failure.meaning, StorageUnavailable)
                    if not failure.passing or times_lost == _MAX_TIMES_LOST:
                        break
                    await pause(failures)
        except TimeoutError:
            times_lost += failure is lost
        except TooBusy as error:
            failure = Failure(error, False)
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
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1
            self._free.release()

    async def _opened(self) -> "DynamoDBClient":
        async with self._opening:
            if self._client is None:
                self._client = await self._ends.enter_async_context(
                    session().create_client(
                        "dynamodb",
                        region_name=self._region,
                        endpoint_url=self._endpoint,
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
                self._client.meta.events.register("before-parse.dynamodb", _check_media_type)
            return self._client

    async def close(self) -> None:
        await self._ends.aclose()
        self._client = None


def _check_media_type(response_dict: Mapping[str, Any], **_: object) -> None:
    """Refuse what is not DynamoDB's answer: the driver would read any other one as success, with no items."""
    if not response_dict["headers"].get("content-type", "").startswith("application/x-amz-json"):
        raise HTTPClientError(error="another service answers")


class RetryBudget:
    """The time for repeating a commit that others are in the way of."""

    def __init__(self) -> None:
        self._failures = 0
        self._deadline = asyncio.get_running_loop().time() + _RETRY_SECONDS

    async def pause(self) -> None:
        """Wait before another attempt; raises `TooBusy` when the time is up."""
        if asyncio.get_running_loop().time() > self._deadline:
            raise TooBusy
        self._failures += 1
        await pause(self._failures)


async def pause(failures: int) -> None:
    """Wait for a moment, the longer the more failures there were; rivals part by chance."""
    longest = min(_MAX_PAUSE_SECONDS, 0.01 * 2.0**failures)
    await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - nothing is to be kept secret here


async def all_of(works: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """Do pieces of work, some at once; after a failure, end those that were begun and raise it."""
    free = asyncio.Semaphore(_MAX_PARTS_AT_ONCE)
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


@cache
def session() -> AioSession:
    """Make one for the process: what it knows of AWS is read from many files."""
    for driver in ("aiobotocore", "botocore"):
        logging.getLogger(driver).setLevel(logging.INFO)  # below, it logs whole requests, with hashes of passwords
    return AioSession()
