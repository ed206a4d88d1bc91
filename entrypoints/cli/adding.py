"""`userport users add`"""

import sys
from typing import Final

import typer

from application.users.service import NewUser
from domain.errors import InvalidInput
from domain.user import User
from domain.values import Password
from entrypoints.cli.errors import CommandFailed
from entrypoints.cli.session import ensure_prepared, open_container
from entrypoints.settings import Settings

_MAX_BYTES: Final = 20 * Password.MAX_LENGTH
"""Up to four bytes per character in each Unicode form, plus the line end."""


async def register(new: NewUser, settings: Settings, *, invite: bool) -> User:
    """Add a user, and invite them by mail if `invite` is true. Raise `CommandFailed` if a field is invalid."""
    async with open_container(settings) as container:
        await ensure_prepared(container)
        try:
            return await container.users().register(new, invite=invite)
        except InvalidInput as error:
            raise CommandFailed("; ".join(f"{refused.field} {refused.detail}" for refused in error.errors)) from None


def read_password() -> str:
    """Ask for the password, or read it from the first line of standard input."""
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
