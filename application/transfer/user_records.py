"""The exchange format of imports and exports: one flat record of plain values per user."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from application.ports import DomainNames, IdSource, PasswordHasher
from application.timestamps import timestamp
from domain.credential import Credential
from domain.errors import FieldError, InvalidInput, InvalidValue
from domain.user import Role, User
from domain.values import Bio, Email, Name, UserId, Username

RawRecord: TypeAlias = Mapping[str, object]
"""An unvalidated record of a user. An absent field or None means: not given."""

PlainRecord: TypeAlias = dict[str, str | int | bool | None]
"""A user as texts, numbers and booleans, in the order of `FIELDS`, optionally followed by `HASH_FIELD`."""

FIELDS: Final = (
    "id", "email", "username", "name", "bio", "role", "active", "email_verified", "version", "created_at",
    "updated_at",
)  # fmt: skip
REQUIRED_FIELDS: Final = ("email", "name")
HASH_FIELD: Final = "password_hash"
"""An optional field of a record; it is secret, and not a field of `User`."""

CLEAR_TEXT_FIELD: Final = "password"
NO_PASSWORDS: Final = f"a password must not lie in a file: give a hash of it instead, as {HASH_FIELD}"

_NULLABLE: Final = ("username", "bio")  # None clears these
_DEFAULTS: Final = {
    "username": None, "bio": None, "role": Role.MEMBER, "active": True, "email_verified": False, "version": 1,
}  # fmt: skip
_WRONG_TYPE: Final = {str: "must be a text", bool: "must be true or false", int: "must be a whole number"}
_BY_CODE: Final = {"unknown_field": 0, "password_not_supported": 0, "required": 1, "out_of_range": 3}
_ROLES: Final = {role.value: role for role in Role}
_MAX_VERSION: Final = 1_000_000_000  # leaves room for increments in the 32 bits of some stores
# RFC 3339 in UTC; from 1970, where some stores start, and in milliseconds, which all of them keep.
_TIME: Final = re.compile(
    r"(?:19[7-9]\d|[2-9]\d{3})-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,3})?(?:[Zz]|[+-]00:00)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class ParsedRecord:
    """A user parsed from a record, and the fields that the record gave. The repr hides the hash."""

    user: User
    given: Collection[str]
    password_hash: str | None = field(repr=False)

    @property
    def credential(self) -> Credential | None:
        return None if self.password_hash is None else Credential(self.user.id, self.password_hash)

    def describes(self, stored: User) -> bool:
        """Return whether `stored` equals the record in every given field except the hash."""
        return all(getattr(self.user, name) == getattr(stored, name) for name in self.given)


class RecordParser:
    """Parses records into users."""

    def __init__(self, ids: IdSource, domain_names: DomainNames, hasher: PasswordHasher) -> None:
        self._ids = ids
        self._hasher = hasher
        self._domain_names = domain_names
        self._fields: Mapping[str, tuple[type, Callable[[Any], object]]] = {
            "email": (str, self._email),
            "name": (str, Name.parse),
            "username": (str, Username.parse),
            "bio": (str, Bio.parse),
            "role": (str, _role),
            "active": (bool, bool),
            "email_verified": (bool, bool),
            "id": (str, UserId.parse),
            "version": (int, int),
            "created_at": (str, _time),
            "updated_at": (str, _time),
            HASH_FIELD: (str, self._password_hash),
        }

    def parse(self, raw: RawRecord, now: datetime) -> ParsedRecord:
        """Validate every field; a missing id or time becomes a new id or `now`.

        Raises:
            InvalidInput: Lists all errors.
        """
        values: dict[str, Any] = {}
        errors: list[FieldError] = []
        for name, given in raw.items():
            field = self._fields.get(name)
            if field is None:
                errors.append(_unknown(name))
                continue
            kind, parse = field
            if type(given) is kind:  # `isinstance(True, int)` holds
                try:
                    values[name] = parse(given)
                except InvalidValue as error:
                    errors.append(FieldError(name, error.code, error.detail))
            elif given is not None:
                errors.append(FieldError(name, "wrong_type", _WRONG_TYPE[kind]))
            elif name in _NULLABLE:
                values[name] = None
        version: int = values.get("version", 1)
        created_at: datetime | None = values.get("created_at")
        updated_at: datetime | None = values.get("updated_at")
        if not 1 <= version <= _MAX_VERSION:
            errors.append(FieldError("version", "out_of_range", f"must be from 1 to {_MAX_VERSION}"))
        if created_at and updated_at and updated_at < created_at:
            errors.append(FieldError("updated_at", "out_of_range", "must not be before created_at"))
        if errors or not all(map(values.__contains__, REQUIRED_FIELDS)):
            errors += [FieldError(name, "required", "is required") for name in REQUIRED_FIELDS if raw.get(name) is None]
            raise InvalidInput(tuple(sorted(errors, key=self._error_order)))
        password_hash = values.pop(HASH_FIELD, None)
        times = {"created_at": created_at or updated_at or now, "updated_at": updated_at or created_at or now}
        user = User(**{**_DEFAULTS, "id": values.get("id") or self._ids.new(UserId), **times, **values})
        return ParsedRecord(user, values, password_hash)

    def _error_order(self, error: FieldError) -> tuple[int, int]:
        """Return a sort key: unknown fields, missing fields, then invalid values, then conflicts between fields."""
        order = [*self._fields]
        return _BY_CODE.get(error.code, 2), order.index(error.field) if error.field in order else -1

    def _email(self, text: str) -> Email:
        return Email.parse(text, self._domain_names.to_ascii)

    def _password_hash(self, text: str) -> str:
        if not self._hasher.can_verify(text):
            raise InvalidValue(
                "unknown_password_hash",
                "must be a hash by Argon2, bcrypt, scrypt, or PBKDF2 in Django's form, and not too costly to check",
            )
        return text


def to_record(user: User) -> PlainRecord:
    """Return the record of a user; parsing it returns an equal user."""
    return {
        "id": str(user.id),
        "email": user.email.address,
        "username": None if user.username is None else user.username.text,
        "name": str(user.name),
        "bio": None if user.bio is None else str(user.bio),
        "role": user.role.value,
        "active": user.active,
        "email_verified": user.email_verified,
        "version": user.version,
        "created_at": timestamp(user.created_at),
        "updated_at": timestamp(user.updated_at),
    }


def to_record_with_hash(user: User, credential: Credential | None) -> PlainRecord:
    """Return the record of a user with the hash of their password, or None without one."""
    return to_record(user) | {HASH_FIELD: None if credential is None else credential.password_hash}


def _unknown(field: str) -> FieldError:
    if field == CLEAR_TEXT_FIELD:
        return FieldError(field, "password_not_supported", NO_PASSWORDS)
    return FieldError(_short(field), "unknown_field", "is not a field of a user")


def _short(field: str) -> str:
    """Make an unknown field name safe to display."""
    return "".join(character if character.isprintable() else "?" for character in field[:40])


def _role(text: str) -> Role:
    role = _ROLES.get(text)
    if role is None:
        raise InvalidValue("not_allowed", f"must be one of: {', '.join(_ROLES)}")
    return role


def _time(text: str) -> datetime:
    try:
        # A text of another format becomes empty, which is never a time.
        return datetime.fromisoformat(text.upper() if _TIME.fullmatch(text) else "").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidValue(
            "invalid_time", "must be a time in UTC since 1970, in milliseconds at most, as 2026-11-20T20:36:00.123Z"
        ) from None
