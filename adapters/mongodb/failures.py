"""What the driver's errors mean to the domain."""

from collections.abc import Mapping
from typing import Any, Final

from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WTimeoutError,
)

from domain.errors import DomainError, EmailTaken, IdTaken, StorageUnavailable, TooBusy, UsernameTaken

NO_REPLICA_SET: Final = (
    "MongoDB must run as a replica set, because commits are transactions: start it with --replSet and run rs.initiate()"
)
_DUPLICATE_KEY: Final = 11000
_CONFLICTS: Final[Mapping[str, type[DomainError]]] = {
    "_id": IdTaken,
    "email_key": EmailTaken,
    "username_key": UsernameTaken,
}


def meaning(error: PyMongoError) -> DomainError | None:
    """Say what a failure means; None when it can only be a bug of ours. Codes: MongoDB's manual, "Error Codes"."""
    match error:
        case BulkWriteError() | DuplicateKeyError():
            return _conflict(error.details or {})
        case ConnectionFailure() | ExecutionTimeout() | WTimeoutError():
            return StorageUnavailable()
        case ConfigurationError():
            return StorageUnavailable("MongoDB cannot be reached in the way that the storage URL says")
        case OperationFailure():
            return _meaning_of_code(error)
    return None


def may_be_repeated(error: PyMongoError) -> bool:
    """Tell whether a transaction that failed so can be repeated as a whole."""
    gone = isinstance(error, ServerSelectionTimeoutError)
    return error.has_error_label("TransientTransactionError") and not gone and not may_have_committed(error)


def may_have_committed(error: PyMongoError) -> bool:
    return error.has_error_label("UnknownTransactionCommitResult")


def lost_to_others(error: PyMongoError) -> bool:
    return isinstance(error, OperationFailure) and error.has_error_label("TransientTransactionError")


def ran_out_of_time(error: PyMongoError) -> bool:
    return isinstance(error, ConnectionFailure | ExecutionTimeout)


def may_have_left_open(error: PyMongoError) -> bool:
    """Tell whether the server, unreached since, may still have the transaction open that failed so."""
    return isinstance(error, ConnectionFailure) and not isinstance(error, WaitQueueTimeoutError)


def _meaning_of_code(error: OperationFailure) -> DomainError | None:
    match error.code:
        case 18 | 8000:
            return StorageUnavailable("MongoDB refuses the user or the password in the storage URL")
        case 13:
            return StorageUnavailable("MongoDB denies the user in the storage URL a privilege that it needs")
        case 20 | 123:
            return StorageUnavailable(NO_REPLICA_SET)
        case 112 | 239 | 246:  # lost to others, or to a change of the catalogue
            return TooBusy()
    if may_have_committed(error):
        return StorageUnavailable()
    return TooBusy() if lost_to_others(error) else None


def _conflict(details: Mapping[str, Any]) -> DomainError | None:
    # A bulk stops at its first error, and tells it in a list.
    error = next(iter(details.get("writeErrors", ())), details)
    if error.get("code") != _DUPLICATE_KEY:
        return None
    (key,) = error["keyPattern"]
    return _CONFLICTS[key]()
