"""Translate the driver's errors."""

from typing import Final

from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WTimeoutError,
)

from domain.errors import DomainError, StorageUnavailable, TooBusy

NO_REPLICA_SET: Final = (
    "MongoDB must run as a replica set, because commits are transactions: start it with --replSet and run rs.initiate()"
)


def translate_error(error: PyMongoError) -> DomainError | None:
    """Return the domain error for an error, or None if it can only be a bug in userport.

    Codes: MongoDB's manual, "Error Codes".
    """
    match error:
        case ConnectionFailure() | ExecutionTimeout() | WTimeoutError():
            return StorageUnavailable()
        case ConfigurationError():
            return StorageUnavailable("MongoDB cannot be reached with the options of the storage URL")
        case OperationFailure():
            return _translate_code(error)
    return None


def is_retryable(error: PyMongoError) -> bool:
    """Return whether the failed transaction can be repeated as a whole."""
    gone = isinstance(error, ServerSelectionTimeoutError)
    return error.has_error_label("TransientTransactionError") and not gone and not may_have_committed(error)


def may_have_committed(error: PyMongoError) -> bool:
    return error.has_error_label("UnknownTransactionCommitResult")


def is_conflict(error: PyMongoError) -> bool:
    return isinstance(error, OperationFailure) and error.has_error_label("TransientTransactionError")


def is_timeout(error: PyMongoError) -> bool:
    return isinstance(error, ConnectionFailure | ExecutionTimeout)


def may_have_left_open(error: PyMongoError) -> bool:
    """Return whether the failed transaction may still be open on a server that was lost."""
    return isinstance(error, ConnectionFailure) and not isinstance(error, WaitQueueTimeoutError)


def _translate_code(error: OperationFailure) -> DomainError | None:
    match error.code:
        case 18 | 8000:
            return StorageUnavailable("MongoDB rejects the user or the password in the storage URL")
        case 13:
            return StorageUnavailable("MongoDB denies a required privilege to the user in the storage URL")
        case 20 | 123:
            return StorageUnavailable(NO_REPLICA_SET)
        case 112 | 239 | 246:  # write conflict, snapshot too old or unavailable
            return TooBusy()
    if may_have_committed(error):
        return StorageUnavailable()
    return TooBusy() if is_conflict(error) else None
