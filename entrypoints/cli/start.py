"""The entry point of the program `userport`."""

from entrypoints.cli.interpreter import pause_gc


def run() -> None:
    """Load the program, then run it."""
    pause_gc()
    from entrypoints.cli.main import run

    run()
