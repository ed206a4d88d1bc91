import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from adapters.dynamodb.failures import Failure, failure_of
from adapters.resilience import Backoff, ConnectionLimiter, is_raised_by
from domain.errors import StorageUnavailable, TooBusy

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

T = TypeVar("T")

_CONNECTIONS: Final = 32
_CONNECT_TIMEOUT_SECONDS: Final = 2
_READ_TIMEOUT_SECONDS: Final = 5
_CALL_TIMEOUT_SECONDS: Final = 8
_MAX_TIMES_LOST: Final = 5

RETRY_SECONDS: Final = 8
"""How long a conflicting commit is retried."""

MAX_PAUSE_SECONDS: Final = 0.5


class RetryingClient:
    """Calls DynamoDB with limits on concurrency and time, and with retries.

    Every failure of the driver becomes a domain error.
    """

    def __init__(self, region: str, endpoint: str | None) -> None:
        self._region = region
        self._endpoint = endpoint
        self._client: DynamoDBClient | None = None
        self._opening = asyncio.Lock()
        self._ends = AsyncExitStack()
        self.limiter: Final = ConnectionLimiter(_CONNECTIONS)

    async def __call__(self, call: "Callable[[DynamoDBClient], Awaitable[T]]") -> T:
        """Retry a call until success, a permanent failure or the timeout."""
        failure = lost = Failure(StorageUnavailable(), True)
        times_lost = 0
        backoff = Backoff(MAX_PAUSE_SECONDS)
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_SECONDS):
                while True:
                    async with self.limiter:
                        failure = lost
                        try:
                            return await call(await self._open_client())
                        except (ClientError, BotoCoreError) as error:
                            failure = failure_of(error)
                        except Exception as error:
                            if not is_raised_by(error, "aiobotocore", "botocore", "aiohttp"):
                                raise
                            failure = failure_of(error)
                    times_lost += isinstance(failure.error, StorageUnavailable)
                    if not failure.passing or times_lost == _MAX_TIMES_LOST:
                        break
                    await backoff.pause()
        except TimeoutError:
            times_lost += failure is lost
        except TooBusy as error:
            failure = Failure(error, False)
        if times_lost and isinstance(failure.error, TooBusy):
            failure = lost  # the lost call may have been applied
        raise failure.error from failure.cause

    async def _open_client(self) -> "DynamoDBClient":
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
                            retries={"total_max_attempts": 1},  # this class knows what may be retried, and for how long
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
    """Reject responses of another service: the driver would parse them as success without items."""
    if not response_dict["headers"].get("content-type", "").startswith("application/x-amz-json"):
        raise HTTPClientError(error="another service answers")


@cache
def session() -> AioSession:
    """Return the process's session, which loads AWS's service definitions from many files."""
    for driver in ("aiobotocore", "botocore"):
        logging.getLogger(driver).setLevel(logging.INFO)  # at DEBUG it logs whole requests, including password hashes
    return AioSession()
