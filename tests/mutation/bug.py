from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """A plausible mistake.

    In Python, a node of the syntax tree is replaced by other code; see `replace_node`. Such a bug survives changes of
    the code around it. In Lua, a text is replaced.
    """

    what: str
    file: str
    new: str
    store: str
    """The store whose suite must notice it."""

    where: str = ""
    node: str = ""
    old: str = ""
    """The text to replace in a file that is not Python."""

    allowed: str = ""
    """Why the port allows the effect, so that the suite need not notice it."""
