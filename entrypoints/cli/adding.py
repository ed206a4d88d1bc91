"""Adding one user."""

import sys
from typing import Final

import typer

from application.users.service import NewUser
from domain.errors import InvalidInput
from domain.user import User
from domain.values import Password
from entrypoints.cli.errors import CommandFailed
from entrypoints.cli.session import make_ready, opened
from entrypoints.settings import Settings

_MOST_BYTES: Final = 20 * Password.LONGEST
"""Of a character in any form, and of the line's end."""


async def add(new: NewUser, settings: Settings) -> User:
    """Add a user to the storage; raises `CommandFailed` where a field is refused."""
    async with opened(settings) as container:
        await make_ready(container)
        try:
            return await container.users().register(new)
        except InvalidInput as error:
            raise CommandFailed("; ".join(f"{refused.field} {refused.detail}" for refused in error.errors)) from None


def read_password() -> str:
    """Ask for a password at a terminal; otherwise read the first line of what is piped in."""
    if sys.stdin.isatty():
        given: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return given
    content = sys.stdin.buffer.readline(_MOST_BYTES + 1)  # what is piped in may have no end
    if len(content) > _MOST_BYTES:
        raise CommandFailed(f"the password must be at most {Password.LONGEST} characters")
    try:
        line = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise CommandFailed("the password must be a text in UTF-8") from None
    if not line:
        raise CommandFailed("there is no password: pipe it in as the first line, or run this in a terminal")
    return line
