"""Choose the language for a client."""

from enum import StrEnum
from functools import lru_cache
from typing import Final

_MAX_HEADER_LENGTH: Final = 1_000


class Language(StrEnum):
    ENGLISH = "en"
    GERMAN = "de"


@lru_cache(maxsize=1_000)  # clients send few different headers, of limited size
def negotiate_language(accept_language: str | None) -> Language:
    """Return the language that an `Accept-Language` header prefers (RFC 9110, section 12.5.4), or English.

    A range such as `de-AT` counts as its primary language. Among equal weights, the first one wins.
    """
    best, best_weight = Language.ENGLISH, 0.0
    for part in (accept_language or "")[:_MAX_HEADER_LENGTH].split(","):
        tag, _, parameter = part.partition(";")
        primary = tag.strip().lower().partition("-")[0]
        weight = _weight(parameter)
        if weight > best_weight and primary in {*Language, "*"}:
            best, best_weight = Language.ENGLISH if primary == "*" else Language(primary), weight
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if name.strip().lower() == "q" and 0 <= weight <= 1 else 0.0
