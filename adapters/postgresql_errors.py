"""What asyncpg's errors mean, for every adapter that uses PostgreSQL through it.

Codes and their classes: PostgreSQL's manual, appendix A.
"""

from typing import Final

import asyncpg

from adapters.resilience import is_raised_by
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy

UNCERTAIN: Final = ("08", "40003", "57", "58", "XX")
"""Classes after which it is unknown whether a command was executed: the server shuts down, or does not know either."""

_HINTS: Final = {
    "25006": "PostgreSQL is read-only: a standby, or default_transaction_read_only",
    "28000": "PostgreSQL rejects the user or the password in the storage URL",
    "28P01": "PostgreSQL rejects the user or the password in the storage URL",
    "3D000": "PostgreSQL does not have the database in the storage URL",
    "42501": "PostgreSQL denies a required privilege to the user in the storage URL",
}
"""Errors that an operator can fix."""


def translate_error(error: BaseException) -> DomainError | None:
    """Return the domain error for an error of asyncpg; None for a rejected row, or a mistake in a statement.

    After `StorageUnavailable`, the connection is of no use.
    """
    match getattr(error, "sqlstate", None):
        case None:
            return StorageUnavailable() if _is_lost(error) else None
        case "42P01":
            return StorageNotPrepared()
        case "40001" | "40P01" | "53300" | "55P03":  # conflict, too many connections, lock not available
            return TooBusy()
        case str(code) if code in _HINTS:
            return StorageUnavailable(_HINTS[code])
        case str(code) if code.startswith((*UNCERTAIN, "53")):  # or resources
            return StorageUnavailable()
    return None


def _is_lost(error: BaseException) -> bool:
    """Return whether there is no server, or none whose responses asyncpg can parse."""
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # an argument of the wrong type
    return isinstance(error, OSError) or is_raised_by(error, "asyncpg")
