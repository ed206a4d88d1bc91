"""Values that are validated once, by `parse`, and trusted afterwards.

Each `parse` raises `InvalidValue`, whose code and detail never repeat the text. Constructors trust their arguments:
stores use them to restore values.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import ClassVar, Self
from unicodedata import category, combining, is_normalized, normalize

from domain.errors import InvalidValue

# Unicode's White_Space property. `str.strip()` would also drop U+001C to U+001F, which are control characters.
_WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_LINE_BREAKS_AND_TABS = "\n\r\t"
# Unicode's general categories Cc and Cs, which are closed.
_CONTROLS_AND_SURROGATES = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff]")

# Decompositions of the few characters that are not combining marks themselves, but decompose into such marks alone.
_MARKS_IN_DISGUISE = {0x0F73: "\u0f71\u0f72", 0x0F75: "\u0f71\u0f74", 0x0F81: "\u0f71\u0f80"}
_MAX_CODE_POINTS_PER_CHARACTER = 4
"""No NFC character takes more code points in any other form."""


def nfc(text: str) -> str:
    """Return the text in NFC (UAX #15), in linear time.

    The library sorts each run of combining marks by insertion, which takes seconds for tens of thousands of them. They
    are therefore sorted here first.
    """
    # Checking for NFC needs no sorting: unsorted text is not NFC.
    if text.isascii() or is_normalized("NFC", text):
        return text
    ordered: list[str] = []
    run: list[str] = []
    for character in text.translate(_MARKS_IN_DISGUISE):
        if combining(character):
            run.append(character)
        else:
            ordered += sorted(run, key=combining)
            ordered.append(character)
            run.clear()
    return normalize("NFC", "".join([*ordered, *sorted(run, key=combining)]))


def fold(text: str) -> str:
    """Return the form in which texts are equal that differ only by case or composition.

    Canonical caseless matching (The Unicode Standard, section 3.13, D145), in NFC.
    """
    if text.isascii():
        return text.lower()
    return normalize("NFC", normalize("NFD", text).casefold())


def truncate_to_milliseconds(moment: datetime) -> datetime:
    """Return an aware time in UTC, truncated to milliseconds, the precision that every store keeps."""
    if moment.tzinfo is None:
        raise InvalidValue("no_time_zone", "must have a time zone")
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _check_characters(text: str, allowed_controls: str = "") -> None:
    if text.isprintable():  # no control character or surrogate is
        return
    for found in _CONTROLS_AND_SURROGATES.finditer(text):
        if found[0] >= "\ud800":
            raise InvalidValue("invalid_character", "must not contain lone surrogates")
        if found[0] not in allowed_controls:
            raise InvalidValue("invalid_character", "must not contain control characters")


def _check_length(text: str, max_length: int) -> None:
    """Reject a text that is too long in any form, before processing it."""
    if len(text) > _MAX_CODE_POINTS_PER_CHARACTER * max_length:
        raise InvalidValue("too_long", f"must be at most {max_length} characters")


def _cleaned(text: str, max_length: int, allowed_controls: str = "") -> str:
    """Return the text trimmed and in NFC; reject control characters, surrogates and overlong texts."""
    text = text.strip(_WHITE_SPACE)
    _check_length(text, max_length)
    _check_characters(text, allowed_controls)
    return nfc(text)


class Id(str):
    """A UUID in its lower-case form (RFC 9562, section 4)."""

    __slots__ = ()
    _FORM: ClassVar = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

    @classmethod
    def parse(cls, text: str) -> Self:
        text = text.lower()
        if not text.isascii() or cls._FORM.fullmatch(text) is None:
            raise InvalidValue("invalid_id", "must be a UUID")
        return cls(text)


class UserId(Id):
    __slots__ = ()


class PostId(Id):
    __slots__ = ()


class SessionId(Id):
    __slots__ = ()


class JobId(Id):
    __slots__ = ()


class _Text(str):
    """A text after NFC and trimming, between `MIN_LENGTH` and `MAX_LENGTH` code points."""

    __slots__ = ()
    MIN_LENGTH: ClassVar[int] = 1
    MAX_LENGTH: ClassVar[int]
    CONTROLS: ClassVar[str] = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        text = _cleaned(text, cls.MAX_LENGTH, cls.CONTROLS).strip(_WHITE_SPACE)
        if len(text) < cls.MIN_LENGTH:
            raise InvalidValue("blank", "must not be blank")
        if len(text) > cls.MAX_LENGTH:
            raise InvalidValue("too_long", f"must be at most {cls.MAX_LENGTH} characters")
        return cls(text)


class Name(_Text):
    __slots__ = ()
    MAX_LENGTH = 100


class Bio(_Text):
    __slots__ = ()
    MIN_LENGTH = 0
    MAX_LENGTH = 1_000
    CONTROLS = _LINE_BREAKS_AND_TABS


class Title(_Text):
    __slots__ = ()
    MAX_LENGTH = 200


class Body(_Text):
    __slots__ = ()
    MAX_LENGTH = 10_000
    CONTROLS = _LINE_BREAKS_AND_TABS


class SearchPrefix(str):
    """The folded prefix of a name, an email or a username."""

    __slots__ = ()
    MAX_LENGTH: ClassVar = 100

    @classmethod
    def parse(cls, text: str) -> Self:
        if not 1 <= len(text) <= cls.MAX_LENGTH:
            raise InvalidValue("wrong_length", f"must have 1 to {cls.MAX_LENGTH} characters")
        _check_characters(text)
        return cls(fold(text))


def ascii_domain_only(domain: str) -> str:
    """Reject international domain names; the strictest `to_ascii`."""
    if not domain.isascii():
        raise InvalidValue("invalid_domain", "must have an ASCII domain")
    return domain


@dataclass(frozen=True, slots=True)
class Email:
    """An address as its owner writes it, and its canonical form, which is unique."""

    MAX_LENGTH: ClassVar = 254  # RFC 5321, section 4.5.3.1.3, less the angle brackets
    MAX_LOCAL_PART_LENGTH: ClassVar = 64  # RFC 5321, section 4.5.3.1.1
    # RFC 5322's dot-atom (section 3.2.3), widened to non-ASCII by RFC 6531, section 3.3.
    _ATOM: ClassVar = r"[\w!#$%&'*+/=?^`{|}~\x80-\U0010ffff-]+"
    _LOCAL_PART: ClassVar = re.compile(rf"{_ATOM}(?:\.{_ATOM})*", re.ASCII)
    _LABEL: ClassVar = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"  # RFC 1123, section 2.1
    _DOMAIN: ClassVar = re.compile(rf"(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}")

    address: str
    canonical: str

    @classmethod
    def parse(cls, text: str, to_ascii: Callable[[str], str] = ascii_domain_only) -> Self:
        """Parse an address. `to_ascii` converts an international domain to A-labels (RFC 5890) or rejects it.

        Quoted local parts, address literals and single-label domains are rejected: people do not have such mailboxes.
        """
        local, at, domain = _cleaned(text, cls.MAX_LENGTH).rpartition("@")
        if not at:
            raise InvalidValue("invalid_email", "must be an email address: it has no @")
        if len(local) > cls.MAX_LOCAL_PART_LENGTH:
            raise InvalidValue("too_long", f"must have at most {cls.MAX_LOCAL_PART_LENGTH} characters before the @")
        cls._check_local_part(local)
        if len(domain) > cls.MAX_LENGTH:
            raise InvalidValue("too_long", f"must be at most {cls.MAX_LENGTH} characters")
        domain = cls._domain(domain, to_ascii)
        address = f"{local}@{domain}"
        if len(address) > cls.MAX_LENGTH:
            raise InvalidValue("too_long", f"must be at most {cls.MAX_LENGTH} characters")
        return cls(address, f"{fold(local)}@{domain}")

    @classmethod
    def _check_local_part(cls, local: str) -> None:
        # Invisible characters are rejected too; the pattern only covers those in ASCII.
        if not local.isprintable() or cls._LOCAL_PART.fullmatch(local) is None:
            raise InvalidValue("invalid_email", "must be an email address: what stands before the @ is malformed")

    @classmethod
    @lru_cache(4_096)  # most addresses share a few domains
    def _domain(cls, text: str, to_ascii: Callable[[str], str]) -> str:
        domain = to_ascii(text).lower()
        if cls._DOMAIN.fullmatch(domain) is None:
            raise InvalidValue("invalid_domain", "must be an email address: what stands after the @ is no domain")
        return domain


@dataclass(frozen=True, slots=True)
class Username:
    """A name for signing in and for mentions, unique regardless of case."""

    PATTERN: ClassVar = r"[A-Za-z0-9][A-Za-z0-9_.\-]{2,31}"

    _FORM: ClassVar = re.compile(PATTERN)

    text: str
    canonical: str

    @classmethod
    def parse(cls, text: str) -> Self:
        if cls._FORM.fullmatch(text) is None:
            raise InvalidValue(
                "invalid_username",
                "must have 3 to 32 of the characters a-z A-Z 0-9 _ . - and start with a letter or digit",
            )
        return cls(text, text.lower())


@dataclass(frozen=True, slots=True)
class Password:
    """A password in NFC (NIST SP 800-63B-4, section 3.1.1.2). The repr hides it."""

    MIN_LENGTH: ClassVar = 8
    MAX_LENGTH: ClassVar = 256

    secret: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        _check_length(text, cls.MAX_LENGTH)
        if any(category(character) == "Cs" for character in text):
            raise InvalidValue("invalid_character", "must not contain lone surrogates")
        text = nfc(text)
        if len(text) < cls.MIN_LENGTH:
            raise InvalidValue("too_short", f"must be at least {cls.MIN_LENGTH} characters")
        if len(text) > cls.MAX_LENGTH:
            raise InvalidValue("too_long", f"must be at most {cls.MAX_LENGTH} characters")
        return cls(text)

    @classmethod
    def claimed(cls, text: str) -> Self:
        """Return the password of a sign-in attempt, which need not satisfy today's rules.

        A longer text is cut to one character more than the limit, so it matches no password.
        """
        max_length = _MAX_CODE_POINTS_PER_CHARACTER * cls.MAX_LENGTH
        return cls(nfc(text[:max_length].encode(errors="replace").decode())[: cls.MAX_LENGTH + 1])
