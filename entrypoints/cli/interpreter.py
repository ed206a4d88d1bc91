"""Settings of the interpreter: garbage collection and thread switching."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_SHORT_SWITCH_INTERVAL_SECONDS: Final = 0.001
_YOUNG_OBJECTS_WHILE_SERVING: Final = 10_000


def pause_gc() -> None:
    """Pause garbage collection while the program loads.

    Loaded objects live until the end. Repeated collections over them would take a tenth of the start-up time.
    """
    gc.disable()


def resume_gc() -> None:
    """Resume garbage collection once a command is loaded."""
    gc.enable()


def resume_gc_for_serving() -> None:
    """Resume garbage collection, but exclude all present objects, and collect less often.

    Present objects live until the end. A full collection over them would block requests for about 50 milliseconds.
    Nearly all later ones are freed by reference counting. With Python's own threshold of 700, collections find only the
    objects of requests that are in progress, and take a twentieth of the processor time.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS_WHILE_SERVING, *gc.get_threshold()[1:])
    gc.enable()


def collect_young() -> None:
    """Collect the youngest generation, while automatic collection is paused."""
    gc.collect(1)


@contextmanager
def gc_paused() -> Iterator[None]:
    """Leave collection to `collect_young`, for work on many records that are freed by reference counting."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def short_thread_turns() -> Iterator[None]:
    """Switch threads more often, for a thread that writes while another one parses."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SHORT_SWITCH_INTERVAL_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
