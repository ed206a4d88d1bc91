"""`userport storage …`"""

import typer

from entrypoints.cli.session import StorageOption, opened, run_async
from entrypoints.settings import load_settings

app = typer.Typer(help="Prepare a storage, or see whether it is.")


@app.command()
def prepare(storage: StorageOption = None) -> None:
    """Create or update the tables and indexes that userport needs. Safe to repeat; loses nothing."""
    settings = load_settings(storage=storage)

    async def main() -> None:
        async with opened(settings) as container:
            await container.storage().prepare()

    run_async(main())
    typer.echo("The storage is prepared.")


@app.command()
def ping(storage: StorageOption = None) -> None:
    """See whether the storage answers and is prepared: exit code 0 if so."""
    settings = load_settings(storage=storage)

    async def main() -> None:
        async with opened(settings) as container:
            await container.storage().ping()

    run_async(main())
    typer.echo("The storage answers and is prepared.")
