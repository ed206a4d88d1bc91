"""What adapters share to withstand failing servers."""

from traceback import walk_tb
from typing import Final

_OURS: Final = {"adapters", "domain"}


def is_raised_by(error: BaseException, *packages: str) -> bool:
    """Return whether code of these packages raised an exception, rather than code of ours around it.

    A driver that meets nonsense on the wire may raise anything, such as an `IndexError`. Where it was raised tells it
    from our own mistakes: the innermost frame that is either the driver's or ours decides.
    """
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package in packages or package in _OURS:
            return package in packages
    return False
