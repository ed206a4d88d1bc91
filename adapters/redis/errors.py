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
    """A Sentinel knows no master of this name."""


_MASTER_UNKNOWN: Final = "the Sentinels know no master of the name in the storage URL"
_UNAVAILABLE: Final[Mapping[type[RedisError], str]] = {
    AuthenticationError: "Redis rejects the user or the password in the storage URL",
    NoPermissionError: "Redis denies a required command or key to the user in the storage URL",
    BusyLoadingError: "Redis is still loading its data; try again shortly",
    ReadOnlyError: "this Redis is a replica, which is read-only",
    ClusterDownError: "this Redis has no master at the moment; try again shortly",  # includes MasterDownError
    MovedError: "this Redis is part of a cluster: write redis+cluster:// or rediss+cluster://",
}


def translate_error(error: RedisError | OSError) -> DomainError:
    """Return the domain error for a failure of Redis or of the connection to it."""
    match error:
        case OutOfMemoryError():
            return TooBusy("Redis has reached its maxmemory and rejects writes")
        case MasterUnknown():
            return StorageUnavailable(_MASTER_UNKNOWN, is_url_wrong=True)
        case TryAgainError():
            return TooBusy("the Redis cluster is moving this service's keys to another node; try again shortly")
    text = next((text for kind, text in _UNAVAILABLE.items() if isinstance(error, kind)), None)
    if text is not None:
        return StorageUnavailable(text)
    if isinstance(error, ResponseError):
        return _translate_code(str(error).partition(" ")[0])
    return (
        TooBusy("Redis has reached its maximum number of clients")
        if "number of clients" in str(error)
        else StorageUnavailable()
    )


def _translate_code(code: str) -> DomainError:
    match code:
        case "NOTPREPARED":  # raised by our own scripts
            return StorageNotPrepared()
        case "BUSY":
            return TooBusy("Redis is busy with a script; try again shortly")
        case "MISCONF":
            return StorageUnavailable("Redis rejects writes, because it cannot write its files")
        case "NOREPLICAS":
            return StorageUnavailable("Redis rejects writes, because too few replicas are connected")
    return StorageUnavailable()
