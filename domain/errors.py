"""The errors of use cases.

`code` is stable and machine-readable; `str(error)` is one sentence for people. Neither ever contains a value that a
caller sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeVar, cast

T = TypeVar("T")
Rest = TypeVar("Rest")


class InvalidValue(ValueError):
    """A single value breaks its type's rules; raised by the `parse` methods in `domain.values`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class FieldError:
    """Why one field was rejected."""

    field: str
    code: str
    detail: str


class DomainError(Exception):
    """Base of all errors that a use case may raise."""

    code: ClassVar[str]
    sentence: ClassVar[str]

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or self.sentence)


class InvalidInput(DomainError):
    """One or more fields break the rules; `errors` lists them."""

    code = "invalid_input"
    sentence = "Some fields break the rules."

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__()
        self.errors = errors


class UserNotFound(DomainError):
    code = "user_not_found"
    sentence = "There is no such user."


class PostNotFound(DomainError):
    code = "post_not_found"
    sentence = "There is no such post."


class SessionNotFound(DomainError):
    code = "session_not_found"
    sentence = "There is no such session."


class EmailTaken(DomainError):
    code = "email_taken"
    sentence = "Another user has this email address."


class UsernameTaken(DomainError):
    code = "username_taken"
    sentence = "Another user has this username."


class IdTaken(DomainError):
    code = "id_taken"
    sentence = "A record with this id exists already."


class StaleVersion(DomainError):
    """The record is gone, or no longer at the version that the write was based on."""

    code = "stale_version"
    sentence = "The record has changed since it was read; read it again and repeat the change."


class VersionMismatch(DomainError):
    """The record is not at a version that the caller accepts."""

    code = "version_mismatch"
    sentence = "The record is not at the version that the request names; read it again and repeat the change."


class LastAdmin(DomainError):
    """The change would leave no active admin."""

    code = "last_admin"
    sentence = "This is the last active admin: make another one first."


class InvalidCredentials(DomainError):
    """The user is unknown or may not sign in, or the password is wrong. The caller is not told which."""

    code = "invalid_credentials"
    sentence = "The name or the password is wrong."


class WrongPassword(DomainError):
    code = "wrong_password"
    sentence = "The current password is wrong."


class TooManyFailures(DomainError):
    """Too many sign-ins failed recently, so this one was not checked. The next is allowed in `wait_seconds`."""

    code = "too_many_failures"
    sentence = "Too many sign-ins have failed; try again later."

    def __init__(self, wait_seconds: int) -> None:
        super().__init__()
        self.wait_seconds = wait_seconds


class TooManyMailRequests(DomainError):
    """Too many mails were requested for one address, or by one client, within an hour. The next one is allowed in
    `wait_seconds`.
    """

    code = "too_many_mail_requests"
    sentence = "Too many mails have been requested; try again later."

    def __init__(self, wait_seconds: int) -> None:
        super().__init__()
        self.wait_seconds = wait_seconds


class InvalidOneTimeToken(DomainError):
    """The token of a link is malformed, unknown, used, expired, voided or of another purpose: one answer for all."""

    code = "invalid_token"
    sentence = "The link is not valid, has been used, or has expired; request a new one."


class AlreadyVerified(DomainError):
    code = "already_verified"
    sentence = "The email address is verified already."


class HasPassword(DomainError):
    code = "has_password"
    sentence = "The user has a password already; a reset changes it."


class ConfirmationRequired(DomainError):
    """A member changes their own address by a link that is mailed to the new one."""

    code = "confirmation_required"
    sentence = "Changing your own email address needs a confirmation: request it at /users/me/email-change."


class InvalidRefreshToken(DomainError):
    code = "invalid_refresh_token"
    sentence = "The refresh token is unknown, or its session has ended; sign in again."


class RefreshTokenReused(InvalidRefreshToken):
    """The token was already used, so it may be stolen: its session must end."""

    code = "refresh_token_reused"


class InvalidAccessToken(DomainError):
    """The token was issued elsewhere or has expired, or its session has ended."""

    code = "invalid_token"
    sentence = "The access token is not valid; refresh it, or sign in again."


class NotSignedIn(DomainError):
    code = "not_signed_in"
    sentence = "This needs an access token."


class NotPermitted(DomainError):
    """The caller may know that the resource exists, but may not do this with it."""

    code = "not_permitted"
    sentence = "Only an admin may do this."


class InvalidRecord(DomainError):
    """A value is one that some store cannot keep; the text names its field. Raised when the record is staged."""

    code = "invalid_record"
    sentence = "The record cannot be stored."


class TooBusy(DomainError):
    """Nothing was changed; the same call may succeed a moment later."""

    code = "too_busy"
    sentence = "The service is too busy at the moment; try again shortly."


class StorageUnavailable(DomainError):
    """The store cannot be reached. Whether an unfinished commit was applied is unknown."""

    code = "storage_unavailable"
    sentence = "The storage cannot be reached at the moment; try again shortly."

    def __init__(self, detail: str | None = None, *, is_url_wrong: bool = False) -> None:
        """With `is_url_wrong` the servers answer, but what the URL names is not there."""
        super().__init__(detail)
        self.is_url_wrong = is_url_wrong


class StorageNotPrepared(DomainError):
    """The store answers, but its schema is missing or older than this program."""

    code = "storage_not_prepared"
    sentence = "The storage is not prepared for this version of userport; run: userport storage prepare"


class FieldChecks:
    """Parses several fields and reports all their errors at once.

    ```python
    check = FieldChecks()
    email = check("email", Email.parse, text)
    bio = check("bio", Bio.parse, text_or_none)
    check.raise_if_invalid()  # raises InvalidInput that lists every rejected field
    ```

    Non-strings, such as None, pass through unchanged. Do not use the result of a rejected field: `raise_if_invalid`
    raises before it could be used.
    """

    def __init__(self) -> None:
        self._errors: list[FieldError] = []

    def __call__(self, field: str, parse: Callable[[str], T], text: str | Rest) -> T | Rest:
        if not isinstance(text, str):
            return text
        try:
            return parse(text)
        except InvalidValue as error:
            self.reject(field, error.code, error.detail)
            return cast("T", None)

    def reject(self, field: str, code: str, detail: str) -> None:
        """Record an error of a field that its `parse` cannot detect."""
        self._errors.append(FieldError(field, code, detail))

    def raise_if_invalid(self) -> None:
        """Raise `InvalidInput` if any field was rejected."""
        if self._errors:
            raise InvalidInput(tuple(self._errors))
