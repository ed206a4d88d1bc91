"""Userport in token mode, on the same storage as the one in open mode."""

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
    "password": "correct horse battery",  # of no real user
}


def make_key(directory: Path) -> Path:
    key = directory / "key.pem"
    command = [sys.executable, "-m", "entrypoints.cli", "keys", "new", "--out", str(key)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own program
    return key


def add_admin(port: int) -> None:
    """Add an admin through a server in open mode."""
    answer = request(port, "POST", "/users", _ADMIN)
    if answer.status != HTTPStatus.CREATED:
        raise SystemExit(f"the admin was not added: {answer.content!r}")


def sign_in(port: int) -> Mapping[str, str]:
    """Sign in and return the headers for requests; they are valid for 15 minutes."""
    form = {"grant_type": "password", "username": _ADMIN["email"], "password": _ADMIN["password"]}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = request(port, "POST", "/auth/token", urlencode(form).encode(), headers)
    if answer.status != HTTPStatus.OK:
        raise SystemExit(f"the admin cannot sign in: {answer.content!r}")
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}
