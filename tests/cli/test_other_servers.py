"""Other programs than `userport serve` serve the app, over real connections."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.cli.commands import ROOT, environment
from tests.http.records import new_user

pytestmark = pytest.mark.slow

_TIMEOUT: Final = 60.0
_FACTORY: Final = "entrypoints.http.app:create_app_from_environment"
_UVICORN: Final = [sys.executable, "-m", "uvicorn", _FACTORY, "--factory", "--port", "0"]
_FASTAPI: Final = [sys.executable, "-m", "fastapi", "run", "--host", "127.0.0.1", "--port", "0"]

SERVERS: Final = {
    "uvicorn": _UVICORN,
    "fastapi run": _FASTAPI,
    "fastapi run with a path": [*_FASTAPI, "entrypoints/http/main.py"],
}


@contextmanager
def served(command: Sequence[str], log: Path, **variables: str) -> Iterator[str]:
    """Run a server and yield its address."""
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=ROOT, env=environment(**variables), stdout=output, stderr=output) as process,  # noqa: S603
    ):
        try:
            deadline = time.monotonic() + _TIMEOUT
            while not (found := re.search(r"running on (http://127\.0\.0\.1:[1-9]\d*)", log.read_text())):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield found[1]
        finally:
            process.terminate()


@pytest.mark.parametrize("command", SERVERS.values(), ids=SERVERS)
def test_a_server_needs_no_more_than_the_name_of_the_app(command: Sequence[str], tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'users.db'}"
    log = tmp_path / "log"
    with served(command, log, USERPORT_STORAGE=storage) as address, httpx.Client(base_url=address) as client:
        created = client.post("/users", json=new_user())
        assert created.status_code == 201
        assert client.get(created.headers["location"]).json() == created.json()
        assert client.get("/users/nothing").status_code == 404
        assert client.get("/users", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 403
    assert "Traceback" not in log.read_text()


def test_a_wrong_setting_is_one_line_and_ends_the_server() -> None:
    variables = environment(USERPORT_STORAGE="nonsense://")
    with subprocess.Popen(_UVICORN, cwd=ROOT, env=variables, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        _, errors = process.communicate(timeout=_TIMEOUT)
    assert process.returncode == 2
    assert re.search(r"^userport: the storage URL must start with one of: .*$", errors, re.MULTILINE)
    assert "Traceback" not in errors
