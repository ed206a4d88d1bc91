"""`userport keys …`"""

import os
from pathlib import Path
from typing import Annotated

import typer

from entrypoints.cli.errors import CommandFailed
from entrypoints.environment import PREFIX

app = typer.Typer(help="Create the keys that sign access tokens.")


@app.command("new")
def new_keys(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to create.", show_default=False)],
    retire: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The file of the current key, whose tokens remain valid.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a new Ed25519 signing key, in PEM, to a file that only its owner can read.

    An existing file is never overwritten. With --retire, the public half of the old file's first key is added, so
    tokens that it signed remain valid until they expire.
    """
    from entrypoints.signing_keys import new_signing_keys

    made = new_signing_keys(retire)
    _write(out, made.to_pem())
    typer.echo(f"Made key {made.signing.id}. Now set {PREFIX}SIGNING_KEY={out} and restart userport serve.")


def _write(path: Path, text: str) -> None:
    """Create a file of mode 600 that is either complete and on disk, or absent."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CommandFailed(f"{path} already exists, and keys are never overwritten: choose another --out") from None
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink()
        raise
