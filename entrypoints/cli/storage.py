"""`userport storage …`"""

from typing import Annotated

import typer

from entrypoints.cli.session import StorageOption, open_storage, run_async
from entrypoints.environment import COPY_TARGET, SettingsError

app = typer.Typer(help="Prepare, check or copy a storage.")


@app.command()
def prepare(storage: StorageOption = None) -> None:
    """Create or update the tables and indexes that userport needs. Safe to repeat; no data is lost."""
    from entrypoints.settings import load_settings

    settings = load_settings(storage=storage)

    async def main() -> None:
        async with open_storage(settings) as open_container:
            await open_container.prepare()

    run_async(main())
    typer.echo("The storage is prepared.")


@app.command()
def ping(storage: StorageOption = None) -> None:
    """Check that the storage answers and is prepared: exit code 0 if so."""
    from entrypoints.settings import load_settings

    settings = load_settings(storage=storage)

    async def main() -> None:
        async with open_storage(settings) as open_container:
            await open_container.ping()

    run_async(main())
    typer.echo("The storage answers and is prepared.")


@app.command("copy")
def copy_storage(
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="URL", help="The storage to read. [default: as for --storage]"),
    ] = None,
    target: Annotated[
        str, typer.Option("--to", metavar="URL", envvar=COPY_TARGET, help="The storage to fill.", show_default=False)
    ] = "",
) -> None:
    """Copy everything from one storage to another: users, posts, passwords and sessions, with ids, versions and times.

    The target is prepared first. It must be empty or hold part of an earlier run: after an interruption, even by kill
    -9, run the same command again. At the end the target is read back and its digest compared. Stop all writers to both
    storages before you start.

    A URL in the environment (USERPORT_STORAGE, USERPORT_COPY_TO) does not appear in the process list.
    """
    from entrypoints.cli.copying import copy
    from entrypoints.settings import load_settings

    if not target:
        raise SettingsError(f"--to ({COPY_TARGET}) is missing: name the storage to fill")
    made = run_async(copy(load_settings(storage=source), load_settings(storage=target)))
    already = f"; {made.found} records were there already" if made.found else ""
    typer.echo(f"Copied and verified: {made.read}{already}. SHA-256 of both: {made.read.digest}")
