from collections.abc import Mapping
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy


class MasterUnknown(ResponseError):
    """A Sentinel watches no master of the name that it was asked for."""


_UNAVAILABLE: Final[Mapping[type[RedisError], str]] = {
    AuthenticationError: "Redis refuses the user or the password in the storage URL",
    NoPermissionError: "Redis denies the user in the storage URL a command or a key that it needs",
    BusyLoadingError: "Redis is still loading its data; try again shortly",
    ReadOnlyError: "this Redis is a replica, which is read-only",
    ClusterDownError: "this Redis has no master at the moment; try again shortly",  # a MasterDownError, too
    MasterUnknown: "the Sentinels watch no master of the name in the storage URL",
    MovedError: "this Redis is part of a cluster: write redis+cluster:// or rediss+cluster://",
}


def meaning(error: RedisError | OSError) -> DomainError:
    """Tell what a failure of Redis, or of the way to it, means to the domain."""
    match error:
        case OutOfMemoryError():
            return TooBusy("Redis has reached its maxmemory, so it takes no more")
        case TryAgainError():
            return TooBusy("the Redis cluster is moving this service's keys to another node; try again shortly")
    text = next((text for kind, text in _UNAVAILABLE.items() if isinstance(error, kind)), None)
    if text is not None:
        return StorageUnavailable(text)
    if isinstance(error, ResponseError):
        return _meaning_of_code(str(error).partition(" ")[0])
    return (
        TooBusy("Redis has as many clients as it takes") if "number of clients" in str(error) else StorageUnavailable()
    )


def _meaning_of_code(code: str) -> DomainError:
    match code:
        case "NOTPREPARED":  # our scripts' own
            return StorageNotPrepared()
        case "BUSY":
            return TooBusy("Redis is busy with a script; try again shortly")
        case "MISCONF":
            return StorageUnavailable("Redis takes no writes, since it cannot write its files")
        case "NOREPLICAS":
            return StorageUnavailable("Redis takes no writes, since too few of its replicas are there")
    return StorageUnavailable()
