"""Where the program `userport` starts."""

import gc


def run() -> None:
    """Load the program and run it."""
    # What is loaded stays for good. Going through it for garbage, again and again while it grows, would take a tenth
    # of the time until a server answers. A command begins to look for garbage when it has loaded what it needs.
    gc.disable()
    from entrypoints.cli.main import run

    run()
