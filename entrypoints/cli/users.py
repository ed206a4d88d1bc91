"""`userport users …`"""

from pathlib import Path
from typing import Annotated

import typer

from entrypoints.cli.errors import ExitCode
from entrypoints.cli.formats import Format, format_by_name
from entrypoints.cli.session import StorageOption, run_async

app = typer.Typer(help="Add a user; import or export users.")


@app.command("add")
def add_user(
    email: Annotated[str, typer.Option(help="The user's email.")],
    name: Annotated[str, typer.Option(help="The user's name.")],
    username: Annotated[str | None, typer.Option(help="The user's username.", show_default=False)] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Make the user an admin.")] = False,
    invite: Annotated[
        bool, typer.Option("--invite", help="Mail the user a link to choose their password, instead of asking for one.")
    ] = False,
    storage: StorageOption = None,
) -> None:
    """Add a user, such as the first admin.

    The command asks for the password, or reads it from the first line of standard input. A password is never an
    argument, because other users of this machine could see it. An invitation is sent by `serve` or `work`.
    """
    from application.users.service import NewUser
    from domain.user import Role
    from entrypoints.cli.adding import read_password, register
    from entrypoints.environment import PREFIX, SettingsError
    from entrypoints.settings import load_settings

    settings = load_settings(storage=storage)
    role = Role.ADMIN if admin else Role.MEMBER
    if invite and not settings.asks_for_tokens:
        raise SettingsError(f"--invite needs the signing key of the servers: set {PREFIX}SIGNING_KEY")
    password = None if invite else read_password()
    new = NewUser(email=email, name=name, username=username, password=password, role=role)
    user = run_async(register(new, settings, invite=invite))
    typer.echo(f"Added {user.role.value} {user.id}{', who gets an invitation' if invite else ''}.")


@app.command("import")
def import_users(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to read; - for standard input.")],
    storage: StorageOption = None,
    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="csv or ndjson. [default: by the file's extension, else by its content]"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and write nothing.")] = False,
    rejects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='Write rejected records to this file, as NDJSON: {"line": 17, "errors": '
            '[{"field", "code", "detail"}], "record": …}.',
            show_default=False,
        ),
    ] = None,
) -> None:
    """Add the users of a CSV or NDJSON file.

    email and name are required; username, bio, role, active, email_verified, id, version, created_at, updated_at and
    password_hash are optional. A CSV file starts with a header row of field names; an empty cell is an omitted field.

    A password_hash is by Argon2, bcrypt, scrypt, or PBKDF2 in Django's form; the user signs in with the original
    password. Clear-text passwords are rejected, because files must not contain them.

    Invalid records are rejected and the others added; the exit code is then 3. A record that matches the stored user
    counts as present. You can therefore correct a file and import it again, or repeat an interrupted import. The
    rejects hide every password_hash, so correct the file itself.

    An import never sets or changes the password of an existing user: a record with another password_hash is rejected.
    One exception: the hash in the file is weaker than new hashes, and the user's hash is not. A sign-in upgrades weak
    hashes, so the record counts as present.

    A dry run does not detect duplicates that are some hundred thousand records apart.
    """
    from entrypoints.cli.importing import import_from
    from entrypoints.settings import load_settings

    settings = load_settings(storage=storage)
    tally = run_async(import_from(file, file_format, settings, rejects_file=rejects, dry_run=dry_run))
    typer.echo(f"Dry run, nothing is written: {tally}" if dry_run else str(tally))
    if tally.refused:
        raise typer.Exit(ExitCode.SOME_REJECTED)


@app.command("export")
def export_users(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="The file to write. [default: standard output]", show_default=False),
    ] = None,
    storage: StorageOption = None,
    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="ndjson or csv. [default: by the file's extension, else ndjson]"),
    ] = None,
    with_password_hashes: Annotated[
        bool,
        typer.Option("--with-password-hashes", help="Add a field password_hash."),
    ] = False,
    with_records: Annotated[
        bool,
        typer.Option(
            "--with-records",
            help="NDJSON only: also write every record that a user owns, such as posts, without secrets.",
        ),
    ] = False,
    spreadsheet_safe: Annotated[
        bool,
        typer.Option(
            "--spreadsheet-safe",
            help="CSV only: put an apostrophe before texts that a spreadsheet would run as formulas.",
        ),
    ] = False,
) -> None:
    """Write all users as NDJSON or CSV, in the order of creation, by default without passwords.

    Only the owner of the file can read it.

    An NDJSON export recreates the same users elsewhere, with their ids, versions and times. CSV cannot distinguish an
    empty bio from a missing one, and restores it as missing. Open a CSV file in a spreadsheet only if it was made with
    --spreadsheet-safe. Do not import such a file: the apostrophes would become part of the texts.

    With --with-records, lines such as {"type": "posts", "record": {…}} follow the users. They hold everything that is
    stored about them, for instance to answer a request for personal data. Such a file cannot be imported; to move all
    data, use: userport storage copy.

    With --with-password-hashes, users can sign in elsewhere as before. Anyone who has the hashes can try passwords
    offline: protect the file like the database, and delete it afterwards.
    """
    from entrypoints.cli.exporting import export_to
    from entrypoints.settings import load_settings

    settings = load_settings(storage=storage)
    by_name = format_by_name(file.name) if file else None
    file_format = file_format or by_name or Format.NDJSON
    run_async(
        export_to(
            file,
            file_format,
            settings,
            with_password_hashes=with_password_hashes,
            spreadsheet_safe=spreadsheet_safe,
            with_records=with_records,
        )
    )
