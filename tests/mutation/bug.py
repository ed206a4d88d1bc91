from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """A mistake that somebody could make: one text in one file becomes another."""

    what: str
    file: str
    old: str
    new: str
    store: str
    """The store whose suite has to notice."""
    allowed: str = ""
    """Why the port allows what comes of it, so that nobody has to notice."""
