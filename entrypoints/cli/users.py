"""`userport users …`"""

from pathlib import Path
from typing import Annotated

import typer

from entrypoints.cli.errors import ExitCode
from entrypoints.cli.formats import Format, format_by_name
from entrypoints.cli.session import StorageOption, run_async

app = typer.Typer(help="Add a user, bring many in from a file, or take them out.")


@app.command("add")
def add_user(
    email: Annotated[str, typer.Option(help="The user's email.")],
    name: Annotated[str, typer.Option(help="The user's name.")],
    username: Annotated[str | None, typer.Option(help="The user's username.", show_default=False)] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Make the user an admin.")] = False,
    storage: StorageOption = None,
) -> None:
    """Add a user, such as the first admin.

    The password is asked for, or is the first line of what is piped in; it cannot be an argument, which other users
    of this machine could see.
    """
    from application.users.service import NewUser
    from domain.user import Role
    from entrypoints.cli.adding import add, read_password
    from entrypoints.settings import load_settings

    settings = load_settings(storage=storage)
    role = Role.ADMIN if admin else Role.MEMBER
    new = NewUser(email=email, name=name, username=username, password=read_password(), role=role)
    user = run_async(add(new, settings))
    typer.echo(f"Added {user.role.value} {user.id}.")


@app.command("import")
def import_users(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to read; - reads from a pipe.")],
    storage: StorageOption = None,
    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="csv or ndjson. [default: by the file's ending, else by its beginning]"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and write nothing.")] = False,
    rejects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='Where to write, as NDJSON, what was refused, and why: {"line": 17, "errors": '
            '[{"field", "code", "detail"}], "record": …}.',
            show_default=False,
        ),
    ] = None,
) -> None:
    """Add the users of a CSV or NDJSON file.

    email and name are required; username, bio, role, active, id, version, created_at, updated_at and password_hash
    are optional. A CSV file begins with a header that names its columns; an empty cell is a field not given.

    A password_hash is by Argon2, bcrypt, scrypt, or PBKDF2 in Django's form; the user signs in with the password that
    it was made of. A password itself is refused, for none must lie in a file.

    A record that is wrong is refused and the others are added; then the exit code is 3. One that is there already,
    just as the file says, is left alone. So a file can be put right and imported again, and an import
    that was cut short be repeated. The rejects hide every password_hash: put the file itself right.

    No import changes the password of a user who is there, or gives one to them: a record with another password_hash
    is refused. Only where the one in the file is weaker than those of today, and that of the user is not, it passes as
    the same: a sign-in renews such a one.

    A dry run does not notice a user who repeats one some hundred thousand records further up.
    """
    from entrypoints.cli.importing import import_from
    from entrypoints.settings import load_settings

    settings = load_settings(storage=storage)
    tally = run_async(import_from(file, file_format, settings, rejects_file=rejects, dry_run=dry_run))
    typer.echo(f"Dry run, nothing is written: {tally}" if dry_run else str(tally))
    if tally.refused:
        raise typer.Exit(ExitCode.SOME_REFUSED)


@app.command("export")
def export_users(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="The file to write. [default: standard output]", show_default=False),
    ] = None,
    storage: StorageOption = None,
    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="ndjson or csv. [default: by the file's ending, else ndjson]"),
    ] = None,
    with_password_hashes: Annotated[
        bool,
        typer.Option("--with-password-hashes", help="Add a field password_hash."),
    ] = False,
    with_records: Annotated[
        bool,
        typer.Option(
            "--with-records",
            help="NDJSON only: add a line for every record that a user owns, such as a post, without secrets.",
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
    """Write all users as NDJSON or CSV, by creation, without passwords unless they are asked for.

    A file is readable by its owner alone.

    Imported elsewhere, an NDJSON export makes the very same users, with their ids, versions and times. CSV cannot tell
    a bio that is empty from one that is not there, and makes it the latter. Open CSV in a spreadsheet only if it was
    made with --spreadsheet-safe, and do not import that: the apostrophes would become part of the texts.

    With records, lines such as {"type": "posts", "record": {…}} follow the users: everything that is kept about
    them, as for a copy that somebody asks for of their own data. Such a file is not for an import; to move
    everything, use: userport storage copy.

    With the hashes of their passwords they can sign in there as before. Whoever has the hashes can try passwords on
    them for as long as they like: keep such a file as you would the database itself, and remove it afterwards.
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
