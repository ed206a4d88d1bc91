"""`userport storage …`"""

from typing import Annotated

import typer

from entrypoints.cli.session import StorageOption, opened_storage, run_async
from entrypoints.environment import COPY_TARGET, SettingsError

app = typer.Typer(help="Prepare a storage, see whether it is, or move to another one.")


@app.command()
def prepare(storage: StorageOption = None) -> None:
    """Create or update the tables and indexes that userport needs. Safe to repeat; loses nothing."""
    from entrypoints.settings import load_settings

    settings = load_settings(storage=storage)

    async def main() -> None:
        async with opened_storage(settings) as opened:
            await opened.prepare()

    run_async(main())
    typer.echo("The storage is prepared.")


@app.command()
def ping(storage: StorageOption = None) -> None:
    """See whether the storage answers and is prepared: exit code 0 if so."""
    from entrypoints.settings import load_settings

    settings = load_settings(storage=storage)

    async def main() -> None:
        async with opened_storage(settings) as opened:
            await opened.ping()

    run_async(main())
    typer.echo("The storage answers and is prepared.")


@app.command("copy")
def copy_storage(
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="URL", help="What to read. [default: the storage of the other commands]"),
    ] = None,
    target: Annotated[
        str, typer.Option("--to", metavar="URL", envvar=COPY_TARGET, help="What to fill.", show_default=False)
    ] = "",
) -> None:
    """Copy everything from one storage to another: users, posts, passwords and sessions, with ids, versions and times.

    The target is prepared, and must be empty or hold the beginning of an earlier run: what ends a run, even kill -9,
    only has to be followed by the same command again. At the end the target is read back and its digest compared.
    Stop whatever writes to either of them first.

    A URL in the environment (USERPORT_STORAGE, USERPORT_COPY_TO) is not seen in the list of processes.
    """
    from entrypoints.cli.copying import copy
    from entrypoints.settings import load_settings

    if not target:
        raise SettingsError(f"--to ({COPY_TARGET}) is missing: name the storage to fill")
    made = run_async(copy(load_settings(storage=source), load_settings(storage=target)))
    already = f"; {made.found} records were there already" if made.found else ""
    typer.echo(f"Copied and verified: {made.read}{already}. SHA-256 of both: {made.read.digest}")
