"""Factories of test records. Omitted fields get values that differ for each record."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final
from uuid import UUID

from domain.credential import Credential
from domain.post import Post
from domain.records import Field, FieldKind, R, RecordType
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.user import Role, User
from domain.values import Bio, Body, Email, Id, Name, PostId, SearchPrefix, SessionId, Title, UserId, Username, fold

LATER: Final = datetime(2031, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)

_numbers = count(1)
_START: Final = datetime(2026, 11, 20, 20, 36, 0, 123_000, tzinfo=UTC)


def nth_user_id(number: int) -> UserId:
    """Return an id that sorts by its number; ids of other factories come after."""
    return UserId(_nth_id(number))


def nth_post_id(number: int) -> PostId:
    return PostId(_nth_id(number))


def nth_session_id(number: int) -> SessionId:
    return SessionId(_nth_id(number))


def an_email(text: str) -> Email:
    """Return an email, for any text, whose canonical form is that text."""
    return Email(text, text)


def a_username(text: str) -> Username:
    return Username(text, text)


def a_prefix(text: str) -> SearchPrefix:
    return SearchPrefix(fold(text))


def a_user(
    *,
    id: UserId | None = None,  # noqa: A002 - the entity's own word
    email: Email | None = None,
    username: Username | None = None,
    name: str | None = None,
    bio: str | None = None,
) -> User:
    number = next(_numbers)
    return User.register(
        id=id or nth_user_id(1_000_000 + number),
        now=_START + timedelta(milliseconds=number),
        email=email or an_email(f"user.{number}@example.org"),
        name=Name(name or f"User No. {number}"),
        username=username,
        bio=None if bio is None else Bio(bio),
    )


def a_full_user() -> User:
    """Return a user whose fields all differ from each other and from the defaults."""
    number = next(_numbers)
    return User(
        id=nth_user_id(1_000_000 + number),
        email=Email(f"Anna.{number}@example.org", f"anna.{number}@example.org"),
        name=Name(f"Anna Ärmel {number}"),
        username=Username(f"Ann_{number}", f"ann_{number}"),
        bio=Bio(f"Born in {number}.\nLives."),
        role=Role.ADMIN,
        active=False,
        email_verified=True,
        version=number + 1,
        created_at=_START + timedelta(milliseconds=number),
        updated_at=_START + timedelta(days=1, milliseconds=number),
    )


def a_post(
    author: User,
    *,
    id: PostId | None = None,  # noqa: A002 - the entity's own word
    title: str | None = None,
    body: str | None = None,
) -> Post:
    number = next(_numbers)
    return Post.publish(
        id=id or nth_post_id(1_000_000 + number),
        author_id=author.id,
        now=_START + timedelta(milliseconds=number),
        title=Title(title or f"Title No. {number}"),
        body=Body(body or f"Body No. {number}"),
    )


def a_full_post(author: User) -> Post:
    """Return a post whose fields all differ from each other and from the defaults."""
    number = next(_numbers)
    return Post(
        id=nth_post_id(1_000_000 + number),
        author_id=author.id,
        title=Title(f"On the {number}"),
        body=Body(f"It is {number}.\n\tSo."),
        version=number + 1,
        created_at=_START + timedelta(milliseconds=number),
        updated_at=_START + timedelta(days=1, milliseconds=number),
    )


def a_credential(user: User) -> Credential:
    return Credential(user.id, f"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA${next(_numbers)}")


def a_session(user: User, *, id: SessionId | None = None) -> Session:  # noqa: A002 - the entity's own word
    """Return a session in its first state, whose optional fields are empty."""
    number = next(_numbers)
    now = _START + timedelta(milliseconds=number)
    return Session(
        id=id or nth_session_id(1_000_000 + number),
        user_id=user.id,
        user_agent=None,
        place=None,
        token_digest=f"{number:064x}",
        salt=f"{number + 1:064x}",
        refreshed_at=(),
        version=1,
        created_at=now,
        last_used_at=now,
        expires_at=now + timedelta(days=7),
    )


def a_full_session(user: User) -> Session:
    """Return a session whose fields all differ from each other and from the defaults."""
    number = next(_numbers)
    return Session(
        id=nth_session_id(1_000_000 + number),
        user_id=user.id,
        user_agent=f"Mozilla/5.0 (Ä; \"'{number}",
        place=f"{number:032x}",
        token_digest=f"{number + 1:064x}",
        salt=f"{number + 2:064x}",
        refreshed_at=tuple(_START + timedelta(hours=1, milliseconds=number + nth) for nth in range(20)),
        version=number + 1,
        created_at=_START + timedelta(milliseconds=number),
        last_used_at=_START + timedelta(days=1, milliseconds=number),
        expires_at=_START + timedelta(days=2, milliseconds=number),
    )


def some_failures(*, key: str | None = None, expires_at: datetime | None = None) -> SignInFailures:
    number = next(_numbers)
    return SignInFailures(
        key=key or f"{number:064x}",
        moments=tuple(_START + timedelta(milliseconds=number + nth) for nth in range(3)),
        version=1,
        expires_at=expires_at or _START + timedelta(minutes=1, milliseconds=number),
    )


def a_record(record_type: RecordType[R], owner: User, *, key: str | None = None, full: bool = True) -> R:
    """Return a record of any type, whose values all differ from those of other records.

    Unless it is full, optional fields are None. Where the key is the owner, `key` is ignored.
    """
    number = next(_numbers)
    values: dict[str, Any] = {
        name: None if field.optional and not full else _value(field, number, nth)
        for nth, (name, field) in enumerate(record_type.fields.items())
    }
    values["version"] = 1
    if key is not None:
        values[record_type.key] = record_type.fields[record_type.key].type(key)
    if record_type.owner is not None:
        values[record_type.owner] = owner.id
    return record_type.entity(**values)


def changed(record_type: RecordType[R], record: R) -> R:
    """Return a next state of a record, in which every mutable field differs."""
    number = next(_numbers)
    kept = {record_type.key, record_type.owner, "version"}
    values = {
        name: _value(field, number, nth)
        for nth, (name, field) in enumerate(record_type.fields.items())
        if name not in kept
    }
    return at_version(replace(record, **values), record.version + 1)  # type: ignore[type-var]


def at_version(record: R, version: int) -> R:
    return replace(record, version=version)  # type: ignore[type-var]


def nth_key(record_type: RecordType[Any], number: int) -> str:
    """Return a key of a type that sorts by its number; keys of other factories come after."""
    return str(_text(record_type.fields[record_type.key], number))


def _value(field: Field, number: int, nth: int) -> Any:
    """Return a value that differs for each record and field."""
    match field.kind:
        case FieldKind.TEXT:
            return _text(field, 1_000_000 + number) if nth == 0 else _text(field, 1_000_000 + number, f"-{nth}-é ")
        case FieldKind.INTEGER:
            return number * 1_000_000_007 + nth
        case FieldKind.BOOLEAN:
            return (number + nth) % 2 == 0
        case FieldKind.TIME:
            return _START + timedelta(days=nth, milliseconds=number)
        case FieldKind.BYTES:
            return bytes((0, 255, nth)) + str(number).encode()
        case FieldKind.ENUM:
            members: Sequence[Any] = list(field.type)  # type: ignore[call-overload] # an enum, which a type need not be
            return members[(number + nth) % len(members)]
        case FieldKind.TUPLE:
            return tuple(_value(field.item_field, number, nth + item) for item in range(1, 4))
        case FieldKind.MAPPING:
            return {f"name {item} é": _value(field.item_field, number, nth + item) for item in range(1, 3)}


def _text(field: Field, number: int, ending: str = "") -> Any:
    text_type: Any = field.type
    if issubclass(field.type, Id):
        return text_type(_nth_id(number))
    return text_type(f"{number:040x}{ending}")


def refreshed(session: Session) -> Session:
    """Return a next state of a session, different each time."""
    digest = f"{next(_numbers):064x}"
    return replace(session, token_digest=digest, refreshed_at=(LATER,), version=session.version + 1, last_used_at=LATER)


def renamed(user: User, name: str) -> User:
    return user.change(now=LATER, name=Name(name))


def retitled(post: Post, title: str) -> Post:
    return post.change(now=LATER, title=Title(title))


def _nth_id(number: int) -> str:
    return str(UUID(int=(0x0190_0000_0000 + number) << 80 | 0x7 << 76 | 0x2 << 62))
