"""`userport users add`"""

import sys
from typing import Annotated, Final

import typer

from application.users.service import NewUser
from domain.errors import InvalidInput
from domain.user import Role, User
from domain.values import Password
from entrypoints.cli.errors import CommandFailed
from entrypoints.cli.session import StorageOption, ensure_prepared, open_container, run_async
from entrypoints.settings import Settings, load_settings

_MAX_BYTES: Final = 20 * Password.MAX_LENGTH
"""Up to four bytes per character in each Unicode form, plus the line end."""


def add_user(
    email: Annotated[str, typer.Option(help="The user's email.")],
    name: Annotated[str, typer.Option(help="The user's name.")],
    username: Annotated[str | None, typer.Option(help="The user's username.", show_default=False)] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Make the user an admin.")] = False,
    storage: StorageOption = None,
) -> None:
    """Add a user, such as the first admin.

    The command asks for the password, or reads it from the first line of standard input. A password is never an
    argument, because other users of this machine could see it.
    """
    settings = load_settings(storage=storage)
    role = Role.ADMIN if admin else Role.MEMBER
    new = NewUser(email=email, name=name, username=username, password=_password(), role=role)
    user = run_async(_register(settings, new))
    typer.echo(f"Added {user.role.value} {user.id}.")


async def _register(settings: Settings, new: NewUser) -> User:
    async with open_container(settings) as container:
        await ensure_prepared(container)
        try:
            return await container.users().register(new)
        except InvalidInput as error:
            raise CommandFailed("; ".join(f"{refused.field} {refused.detail}" for refused in error.errors)) from None


def _password() -> str:
    if sys.stdin.isatty():
        given: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return given
    content = sys.stdin.buffer.readline(_MAX_BYTES + 1)  # standard input may be endless
    if len(content) > _MAX_BYTES:
        raise CommandFailed(f"the password must be at most {Password.MAX_LENGTH} characters")
    try:
        line = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise CommandFailed("the password must be UTF-8 text") from None
    if not line:
        raise CommandFailed("there is no password: pipe it in as the first line, or run this command in a terminal")
    return line
