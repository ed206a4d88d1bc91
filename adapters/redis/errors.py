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
    """Tell what a failure of Redis, or of the way to it, means to the domain."""
    match error:
        case OutOfMemoryError():
            return TooBusy("Redis has reached its maxmemory, so it takes no more")
        case TryAgainError():
            return TooBusy("the Redis cluster is moving this service's keys to another node; try again shortly")
        case AuthenticationError():
            return StorageUnavailable("Redis refuses the user or the password in the storage URL")
        case NoPermissionError():
            return StorageUnavailable("Redis denies the user in the storage URL a command or a key that it needs")
        case BusyLoadingError():
            return StorageUnavailable("Redis is still loading its data; try again shortly")
        case ReadOnlyError():
            return StorageUnavailable("this Redis is a replica, which is read-only")
        case ClusterDownError():  # a MasterDownError, too
            return StorageUnavailable("this part of the Redis cluster has no master at the moment; try again shortly")
        case MovedError():
            return StorageUnavailable("this Redis is part of a cluster: write redis+cluster:// or rediss+cluster://")
        case ResponseError():
            return _translate_code(str(error).partition(" ")[0])
    return (
        TooBusy("Redis has as many clients as it takes") if "number of clients" in str(error) else StorageUnavailable()
    )


def _translate_code(code: str) -> DomainError:
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
