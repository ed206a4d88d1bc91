"""The program `userport`.

The modules of commands load what a command needs in the command's own function, since each invocation runs only one.
"""

import logging
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from entrypoints.cli import health, jobs, keys, mail, openapi, serve, storage, users, work
from entrypoints.cli.errors import EXIT_CODES, end, silence_thread_tracebacks
from entrypoints.cli.interpreter import resume_gc
from entrypoints.version import version

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("serve")(serve.serve)
app.command("work")(work.work)
app.command("health")(health.health)
app.command("openapi")(openapi.openapi)
app.add_typer(storage.app, name="storage")
app.add_typer(users.app, name="users")
app.add_typer(jobs.app, name="jobs")
app.add_typer(keys.app, name="keys")
app.add_typer(mail.app, name="mail")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"userport {version()}")
        raise typer.Exit


@app.callback()
def userport(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Log the source of a failure.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A user service whose storage is one URL.

    Every setting is an environment variable: USERPORT_STORAGE, USERPORT_PORT, and so on. A flag takes precedence.
    """
    log = logging.getLogger("userport")
    log.addHandler(logging.StreamHandler())
    if debug:
        log.setLevel(logging.DEBUG)
    if context.invoked_subcommand != "serve":
        resume_gc()
        # Drivers log what they are about to raise; the commands print errors themselves, in one line.
        logging.getLogger().addHandler(logging.NullHandler())


def _command() -> Callable[..., object]:
    """Return the program with its exit codes at the end of every page of help."""
    program = get_command(app)
    pages: list[object] = [program]
    for page in pages:
        if isinstance(page, TyperGroup):
            pages.extend(page.commands.values())
        if isinstance(page, TyperCommand | TyperGroup):
            page.epilog = EXIT_CODES
    return program


def run() -> None:
    """Run the command that the arguments name, then exit."""
    silence_thread_tracebacks()
    colour = False if os.environ.get("NO_COLOR") else None
    try:
        result = _command()(sys.argv[1:] or ["--help"], prog_name="userport", standalone_mode=False, color=colour)
    except SystemExit:
        raise  # the reader of the output is gone, as in `userport users export | head`
    except BaseException as error:  # noqa: BLE001 - every error becomes one line
        sys.exit(end(error))
    sys.exit(result if isinstance(result, int) else 0)
