from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """A mistake that somebody could make.

    In Python it is a node of the syntax tree that becomes other code, found as `replace_node` says, so that a bug
    outlives changes of everything around it. In Lua it is a text.
    """

    what: str
    file: str
    new: str
    store: str
    """The store whose suite has to notice."""

    where: str = ""
    node: str = ""
    old: str = ""
    """The text that is replaced in a file that is not Python."""

    allowed: str = ""
    """Why the port allows what comes of it, so that nobody has to notice."""
