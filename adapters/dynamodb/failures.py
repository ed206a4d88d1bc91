"""Classify DynamoDB's errors and the driver's exceptions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError, CredentialRetrievalError, NoCredentialsError, PartialCredentialsError

from adapters.dynamodb.items import Image, Key, decoded_item
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy

_CREDENTIALS: Final = (
    "AWS does not accept this service's credentials for the table; check what AWS's own settings name, and what that "
    "identity may do."
)
_BUSY: Final = {
    "LimitExceededException",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingError",
    "ThrottlingException",
    "TransactionConflict",
    "TransactionConflictException",
}
_NOT_PREPARED: Final = {"ResourceNotFoundException", "TableNotFoundException"}
_NOT_ALLOWED: Final = {
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
}


class ConditionCheckFailed(Exception):
    """Conditions of a transaction failed; nothing of it was applied."""

    def __init__(self, found: Mapping[Key, Image | None]) -> None:
        super().__init__()
        self.found = found
        """The current images of the failing items; None for a missing item."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call failed: the error to raise if it is not retried, or not successfully, and whether it is transient."""

    error: DomainError
    passing: bool
    cause: Exception | None = None


def failure_of(error: Exception) -> Failure:
    """Classify an exception of the driver, including unexpected ones."""
    if isinstance(error, ClientError):
        return _refusal(error)
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return Failure(StorageUnavailable(_CREDENTIALS), False, error)
    return Failure(StorageUnavailable(), True, error)


def unexpected(error: ClientError, keys: Sequence[Key]) -> dict[Key, Image | None]:
    """Return which items of a cancelled transaction failed their conditions, and their current images."""
    return {
        key: decoded_item(reason["Item"])[1] if "Item" in reason else None
        for key, reason in zip(keys, _reasons(error), strict=False)
        if reason.get("Code") == "ConditionalCheckFailed"
    }


def _refusal(error: ClientError) -> Failure:
    codes = {code_of(error), *(reason.get("Code", "None") for reason in _reasons(error))}
    if codes & _NOT_PREPARED:
        return Failure(StorageNotPrepared(), False, error)
    if codes & _NOT_ALLOWED:
        return Failure(StorageUnavailable(_CREDENTIALS), False, error)
    if codes & _BUSY:
        return Failure(TooBusy(), True, error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return Failure(StorageUnavailable(), status >= 500 or code_of(error) == "TransactionInProgressException", error)


def code_of(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _reasons(error: ClientError) -> Sequence[Mapping[str, Any]]:
    reasons: Sequence[Mapping[str, Any]] = error.response.get("CancellationReasons", ())
    return reasons
