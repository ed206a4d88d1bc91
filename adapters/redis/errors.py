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


def translate_error(error: RedisError | OSError) -> DomainError:
    """Return the domain error for a failure of Redis or of the connection to it."""
    match error:
        case OutOfMemoryError():
            return TooBusy("Redis has reached its maxmemory and rejects writes")
        case TryAgainError():
            return TooBusy("the Redis cluster is moving this service's keys to another node; try again shortly")
        case AuthenticationError():
            return StorageUnavailable("Redis rejects the user or the password in the storage URL")
        case NoPermissionError():
            return StorageUnavailable("Redis denies a required command or key to the user in the storage URL")
        case BusyLoadingError():
            return StorageUnavailable("Redis is still loading its data; try again shortly")
        case ReadOnlyError():
            return StorageUnavailable("this Redis is a replica, which is read-only")
        case ClusterDownError():  # includes MasterDownError
            return StorageUnavailable("this part of the Redis cluster has no master at the moment; try again shortly")
        case MovedError():
            return StorageUnavailable("this Redis is part of a cluster: write redis+cluster:// or rediss+cluster://")
        case ResponseError():
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
