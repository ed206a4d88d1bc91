"""Through which files a request goes, against the lists in the documentation."""

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
DOCUMENT: Final = (ROOT / "docs" / "one-request.md").read_text(encoding="utf-8")
REPETITIONS: Final = 5
LIMITS: Final = ConnectionLimits(10, head_timeout=60, body_timeout=60, write_timeout=60, keep_alive_timeout=60)


class Recorder:
    """Notes the files of userport in which a function runs, in every thread that starts after it was installed."""

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


def section(heading: str) -> str:
    (text,) = re.findall(rf"^### {re.escape(heading)}\n(.*?)(?=^#|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    return str(text)


def documented(heading: str) -> set[str]:
    """Return the files that a section lists."""
    return set(re.findall(r"^- `([\w/.]+\.py)`$", section(heading), re.MULTILINE))


def test_adapters_sql_has_as_many_modules_as_the_documentation_says() -> None:
    modules = [path for path in (ROOT / "adapters" / "sql").rglob("*.py") if "migrations" not in path.parts]
    assert f"has {sum(path.name != '__init__.py' for path in modules)} modules" in section("Levels of `adapters/sql`")


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
    """Return the files that each of several requests went through, which leaves out what ran beside one of them."""
    recorder = Recorder()
    crossed: list[set[str]] = []
    with recorder.installed():
        async with served() as client:
            made = await client.post("/users", json={"email": "a@example.org", "name": "A"})
            path = "/users" if method == "POST" else f"/users/{made.json()['id']}"
            for number in range(REPETITIONS):
                body = {"email": f"{number}@example.org", "name": "N"} if method == "POST" else None
                await asyncio.sleep(0)
                with recorder.recording() as files:
                    response = await client.request(method, path, json=body)
                assert response.is_success
                crossed.append(files)
    names = (Path(file) for file in set.intersection(*crossed[1:]))  # the first one compiles its statement
    return {
        name.relative_to(ROOT).as_posix()
        for name in names
        if name.is_relative_to(ROOT) and name.relative_to(ROOT).parts[0] in PACKAGES
    }


@pytest.mark.parametrize(
    ("heading", "method", "kind"),
    [("`GET` on SQLite", "GET", "sqlite"), ("`POST` on PostgreSQL", "POST", "postgresql")],
)
async def test_a_request_goes_through_the_files_that_the_documentation_lists(
    heading: str, method: str, kind: Kind, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_unless_chosen(kind)
    with databases.fresh(kind) as url:
        monkeypatch.setenv("USERPORT_STORAGE", url)
        await prepare(url)
        crossed = await walk(method)
        listed = documented(heading)
        assert crossed == listed, f"correct {heading} in docs/one-request.md: {sorted(crossed ^ listed)}"
        assert f": {len(crossed)} files" in section(heading)
