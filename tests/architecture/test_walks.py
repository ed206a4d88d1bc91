"""The files that a request crosses are those that the documentation lists."""

import asyncio
import re
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import httpx
import pytest
from uvicorn import Server

from entrypoints.http.protocol import ConnectionLimits, ServerConfig
from entrypoints.storage_by_url import open_storage
from tests.servers.choice import Kind, skip_unless_chosen
from tests.servers.databases import Databases

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("adapters", "application", "domain", "entrypoints")
EXPLANATION: Final = ROOT / "docs" / "explanation"
REPETITIONS: Final = 5
LIMITS: Final = ConnectionLimits(10, head_timeout=60, body_timeout=60, write_timeout=60, keep_alive_timeout=60)


class Recorder:
    """Records the files in which functions run, in this thread and in every thread that starts later."""

    def __init__(self) -> None:
        self._files: set[str] | None = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    @contextmanager
    def recording(self) -> Iterator[set[str]]:
        self._files = files = set[str]()
        try:
            yield files
        finally:
            self._files = None

    def _note(self, frame: FrameType, _event: str, _argument: Any) -> None:
        if self._files is not None:
            self._files.add(frame.f_code.co_filename)


def files_section(page: str) -> str:
    """Return the section of a page that lists the files on the way."""
    text = (EXPLANATION / page).read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Files\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return str(section)


@asynccontextmanager
async def served() -> AsyncIterator[httpx.AsyncClient]:
    """Serve on a free port, with the settings of the environment."""
    app = "entrypoints.http.app:create_app_from_environment"
    config = ServerConfig(app, LIMITS, factory=True, log_level="warning", access_log=False, server_header=False)
    server = Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        running = asyncio.create_task(server.serve([listener]))
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                yield client
        finally:
            server.should_exit = True
            await running


async def prepare(url: str) -> None:
    storage = open_storage(url)
    try:
        await storage.prepare()
    finally:
        await storage.close()


async def walk(method: str) -> set[str]:
    """Return the files that every one of several requests crosses; background work crosses others now and then."""
    recorder = Recorder()
    crossed: list[set[str]] = []
    with recorder.installed():
        async with served() as client:
            made = await client.post("/users", json={"email": "a@example.org", "name": "A"})
            path = "/users" if method == "POST" else f"/users/{made.json()['id']}"
            for number in range(REPETITIONS):
                body = {"email": f"{number}@example.org", "name": "N"} if method == "POST" else None
                with recorder.recording() as files:
                    response = await client.request(method, path, json=body)
                assert response.is_success
                crossed.append(files)
    names = (Path(file) for file in set.intersection(*crossed[1:]))  # the first request compiles its statement
    return {
        name.relative_to(ROOT).as_posix()
        for name in names
        if name.is_relative_to(ROOT) and name.relative_to(ROOT).parts[0] in PACKAGES
    }


@pytest.mark.parametrize(
    ("page", "method", "kind"), [("a-get.md", "GET", "sqlite"), ("a-post.md", "POST", "postgresql")]
)
async def test_a_request_crosses_the_files_that_the_documentation_lists(
    page: str, method: str, kind: Kind, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_unless_chosen(kind)
    with databases.fresh(kind) as url:
        monkeypatch.setenv("USERPORT_STORAGE", url)
        await prepare(url)
        crossed = await walk(method)
    section = files_section(page)
    listed = set(re.findall(r"^- `([\w/.]+\.py)`$", section, re.MULTILINE))
    assert crossed == listed, f"correct docs/explanation/{page}: {sorted(crossed ^ listed)}"
    assert f"crosses {len(crossed)} files" in section


def test_adapters_sql_has_as_many_modules_as_the_documentation_says() -> None:
    modules = [path for path in (ROOT / "adapters" / "sql").rglob("*.py") if "migrations" not in path.parts]
    count = sum(path.name != "__init__.py" for path in modules)
    assert f"`adapters/sql` has {count} modules" in files_section("a-get.md")
