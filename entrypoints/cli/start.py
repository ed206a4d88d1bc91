"""Where the program `userport` starts."""

from entrypoints.cli.interpreter import pause_gc


def run() -> None:
    """Load the program and run it."""
    pause_gc()
    from entrypoints.cli.main import run

    run()
