"""The program `userport`."""

import logging
import sys
from typing import Annotated

import typer

from entrypoints.cli import jobs, keys, openapi, serve, storage, users, work
from entrypoints.cli.errors import end, hush_threads
from entrypoints.cli.interpreter import resume_gc
from entrypoints.version import version

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
app.command("serve")(serve.serve)
app.command("work")(work.work)
app.command("openapi")(openapi.openapi)
app.add_typer(storage.app, name="storage")
app.add_typer(users.app, name="users")
app.add_typer(jobs.app, name="jobs")
app.add_typer(keys.app, name="keys")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"userport {version()}")
        raise typer.Exit


@app.callback()
def userport(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Tell on failure which code it came from.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A user service whose storage is one URL.

    --storage, --host, --port and --workers can be set in the environment too: USERPORT_STORAGE, and so on. A
    command ends with 0 when all went well, 1 when it failed, 2 when it was called or set up wrongly, and 3 when an
    import refused some records.
    """
    log = logging.getLogger("userport")
    log.addHandler(logging.StreamHandler())
    if debug:
        log.setLevel(logging.DEBUG)
    if context.invoked_subcommand != "serve":
        resume_gc()
        # Drivers log what they are about to raise; these commands tell it once, in their own line.
        logging.getLogger().addHandler(logging.NullHandler())


def run() -> None:
    """Run the command that the arguments name, and exit."""
    hush_threads()
    try:
        result = app(sys.argv[1:] or ["--help"], prog_name="userport", standalone_mode=False)
    except SystemExit:
        raise  # whoever read the output has gone, as in `userport users export | head`
    except BaseException as error:  # noqa: BLE001 - told in one line, whatever it is
        sys.exit(end(error))
    sys.exit(result if isinstance(result, int) else 0)
