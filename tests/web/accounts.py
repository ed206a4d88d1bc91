"""A running service with a directory for its mails, and accounts."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any, Final

import httpx

from application.mail.message import Template
from tests.cli.commands import userport
from tests.cli.serving import serving, wait_until_ready
from tests.http.sign_in_helpers import PASSWORD, SIGNING_KEY, bearer

ADMIN: Final = "root@example.com"
_PATIENCE_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Accounts:
    """A service as its users reach it."""

    address: str
    directory: Path
    client: httpx.Client
    _read: set[Path] = field(default_factory=set)

    def add(self, email: str, language: str = "en", **fields: str) -> dict[str, Any]:
        user = {"email": email, "name": "Ann", "password": PASSWORD, **fields}
        response = self.client.post("/users", json=user, headers={"accept-language": language})
        assert response.status_code == 201, response.text
        created: dict[str, Any] = response.json()
        return created

    def sign_in(self, email: str, password: str = PASSWORD) -> httpx.Response:
        form = {"grant_type": "password", "username": email, "password": password}
        return self.client.post("/auth/token", data=form)

    def headers(self, email: str, password: str = PASSWORD) -> dict[str, str]:
        return bearer(self.sign_in(email, password).json()["access_token"])

    def link(self, to: str, template: Template) -> str:
        """Return the path of the link in the next mail to an address."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for file in sorted(set(self.directory.glob(f"*-{template}-*.eml")) - self._read):
                message = message_from_bytes(file.read_bytes(), policy=policy.default)
                if message["To"] == to:
                    self._read.add(file)
                    text = next(message.iter_parts()).get_content()
                    (link,) = re.findall(rf"^{re.escape(self.address)}(/account/\S+)\s*$", text, re.MULTILINE)
                    return str(link)
            time.sleep(0.05)
        raise AssertionError(f"{to} gets no mail")


@contextmanager
def running_accounts(directory: Path) -> Iterator[Accounts]:
    """Serve on an embedded storage, with an admin."""
    storage, mails = f"sqlite:///{directory}/users.db", directory / "mail"
    userport("storage", "prepare", "--storage", storage)
    added = userport(
        *("users", "add", "--admin", "--email", ADMIN, "--name", "Root", "--storage", storage),
        pipe=f"{PASSWORD}\n".encode(),
    )
    assert added.exit_code == 0, added.errors
    settings = {
        "USERPORT_SIGNING_KEY": SIGNING_KEY,
        "USERPORT_MAIL": f"file:{mails}",
        "USERPORT_MAIL_FROM": "Example Users <no-reply@example.com>",
        "USERPORT_MAILS_PER_ADDRESS": "0",
    }
    with serving(storage, **settings) as (_, address), httpx.Client(base_url=address, timeout=30) as client:
        wait_until_ready(address)
        yield Accounts(address, mails, client)
