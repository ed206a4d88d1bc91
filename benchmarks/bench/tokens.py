"""Userport with sign-in, beside the one without that serves the same place."""

import subprocess
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from benchmarks.bench.http_client import request

_ADMIN: Final = {
    "email": "admin@example.org",
    "name": "Admin",
    "role": "admin",
    "password": "correct horse battery",  # of nobody
}


def make_key(directory: Path) -> Path:
    key = directory / "key.pem"
    command = [sys.executable, "-m", "entrypoints.cli", "keys", "new", "--out", str(key)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own program
    return key


def add_admin(port: int) -> None:
    """Add, by a server without sign-in, somebody who may look at everybody."""
    answer = request(port, "POST", "/users", _ADMIN)
    if answer.status != HTTPStatus.CREATED:
        raise SystemExit(f"the admin was not added: {answer.content!r}")


def sign_in(port: int) -> Mapping[str, str]:
    """Make the headers of somebody who has just signed in; they are good for a quarter of an hour."""
    form = {"grant_type": "password", "username": _ADMIN["email"], "password": _ADMIN["password"]}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = request(port, "POST", "/auth/token", urlencode(form).encode(), headers)
    if answer.status != HTTPStatus.OK:
        raise SystemExit(f"the admin cannot sign in: {answer.content!r}")
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}
