"""The garbage collector and the switching of threads, which nothing else touches."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_SHORT_SWITCH_INTERVAL_SECONDS: Final = 0.001


def pause_gc() -> None:
    """Stop looking for garbage while the program loads.

    What is loaded stays for good. Going through it for garbage, again and again while it grows, would take a tenth of
    the time until a server answers.
    """
    gc.disable()


def resume_gc() -> None:
    """Look for garbage again, since all that a command needs is loaded."""
    gc.enable()


def resume_gc_for_serving() -> None:
    """Look for garbage again, but not in what is there now.

    It stays for good. If each full collection went through it, that would hold up requests for as long as some fifty
    milliseconds.
    """
    gc.freeze()
    gc.enable()


def collect_young() -> None:
    """Remove garbage among what is young, while the collector is paused."""
    gc.collect(1)


@contextmanager
def gc_paused() -> Iterator[None]:
    """Look for garbage only by `collect_young`, for work on many records that are never garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def short_thread_turns() -> Iterator[None]:
    """Let a thread that waits for its turn have it soon, such as one that writes while another parses."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SHORT_SWITCH_INTERVAL_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
