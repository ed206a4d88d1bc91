"""Everything that a use case may refuse or fail with.

`code` is stable and meant for machines; `str(error)` is one sentence for people. Neither ever holds a value
that a caller sent.
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
    """Why one field was refused."""

    field: str
    code: str
    detail: str


class DomainError(Exception):
    """Base of all refusals and failures that a use case may raise."""

    code: ClassVar[str]
    sentence: ClassVar[str]

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or self.sentence)


class InvalidInput(DomainError):
    """One or more fields break the rules; `errors` names each of them."""

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
    """Another writer was faster: the record is no longer at the version that the write was based on, or is gone."""

    code = "stale_version"
    sentence = "The record has changed since it was read; read it again and repeat the change."


class VersionMismatch(DomainError):
    """The record is at none of the versions that the caller accepts."""

    code = "version_mismatch"
    sentence = "The record is not at the version that the request names; read it again and repeat the change."


class LastAdmin(DomainError):
    """Nobody would be left who may do what only an admin may."""

    code = "last_admin"
    sentence = "This is the last active admin: make another one first."


class InvalidCredentials(DomainError):
    """There is no such user, or the password is not theirs, or they may not sign in: nobody is told which."""

    code = "invalid_credentials"
    sentence = "The name or the password is wrong."


class WrongPassword(DomainError):
    code = "wrong_password"
    sentence = "The current password is wrong."


class TooManyFailures(DomainError):
    """Too many sign-ins have failed lately; nothing was checked. The next one is allowed in `wait_seconds`."""

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
    """The token was used up before, so somebody else may have it: its session has to end."""

    code = "refresh_token_reused"


class InvalidAccessToken(DomainError):
    """The token was not made here, has expired, or its session has ended."""

    code = "invalid_token"
    sentence = "The access token is not valid; refresh it, or sign in again."


class NotSignedIn(DomainError):
    code = "not_signed_in"
    sentence = "This needs an access token."


class NotPermitted(DomainError):
    """The caller may know of the thing, but not do this with it."""

    code = "not_permitted"
    sentence = "Only an admin may do this."


class InvalidRecord(DomainError):
    """A record has a value that some store could not keep; the text names the field. Raised when it is staged."""

    code = "invalid_record"
    sentence = "The record cannot be stored."


class TooBusy(DomainError):
    """Nothing was changed; the same call may succeed a moment later."""

    code = "too_busy"
    sentence = "The service is too busy at the moment; try again shortly."


class StorageUnavailable(DomainError):
    """The store cannot be reached. Whether an unfinished commit happened is unknown."""

    code = "storage_unavailable"
    sentence = "The storage cannot be reached at the moment; try again shortly."


class StorageNotPrepared(DomainError):
    """The store answers, but its tables or indexes are missing or older than this program."""

    code = "storage_not_prepared"
    sentence = "The storage is not prepared for this version of userport; run: userport storage prepare"


class FieldChecks:
    """Parses fields one after another and reports everything that is wrong with them at once.

    ```python
    check = FieldChecks()
    email = check("email", Email.parse, text)
    bio = check("bio", Bio.parse, text_or_none)
    check.done()  # raises InvalidInput that lists every refused field
    ```

    What is no text, as None, passes as it is. What a refused field returns must not be used: `done` raises before
    it could be.
    """

    def __init__(self) -> None:
        self._errors: list[FieldError] = []

    def __call__(self, field: str, parse: Callable[[str], T], text: str | Rest) -> T | Rest:
        if not isinstance(text, str):
            return text
        try:
            return parse(text)
        except InvalidValue as error:
            self.refuse(field, error.code, error.detail)
            return cast("T", None)

    def refuse(self, field: str, code: str, detail: str) -> None:
        """Note what is wrong with a field beyond what its own `parse` can tell."""
        self._errors.append(FieldError(field, code, detail))

    def done(self) -> None:
        """Raise `InvalidInput` when any field was refused."""
        if self._errors:
            raise InvalidInput(tuple(self._errors))
