"""PocketBase, a service in Go on SQLite, with the same users in a collection that anyone may write to.

It has its default settings: with `synchronous = NORMAL`, a power failure may lose acknowledged commits.
"""

import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

from benchmarks.bench.app import RIVALS_BIN, App
from benchmarks.bench.calls import ONE_RECORD, ONE_USER
from benchmarks.bench.http_client import request
from benchmarks.bench.sample_users import sample_users
from tests.servers.process import free_port

_PROGRAM: Final = RIVALS_BIN / "pocketbase"
_ADMIN: Final = {"identity": "admin@example.org", "password": "correct horse battery"}
_TEXTS: Final = ("email", "name", "username", "bio")
_START_SECONDS: Final = 30


class PocketBase(App):
    calls: ClassVar = (ONE_USER.name, ONE_RECORD.name)
    ready_path: ClassVar = "/api/health"
    keeps_users: ClassVar = False

    def __init__(self) -> None:
        super().__init__("pocketbase", ["sqlite"])

    def fill(self, url: str, users: int) -> None:
        directory = self._directory(url)
        subprocess.run(  # noqa: S603 - a program of the rivals' environment
            [str(_PROGRAM), "superuser", "upsert", *_ADMIN.values(), "--dir", str(directory)],
            check=True,
            capture_output=True,
        )
        self._create_collection(url)
        rows = ((user.email, _id_of(user.id), user.name, user.username, user.bio) for user in sample_users(users))
        with sqlite3.connect(directory / "data.db") as database:
            database.executemany("INSERT INTO members (email, id, name, username, bio) VALUES (?, ?, ?, ?, ?)", rows)
        database.close()

    def command(self, url: str, port: int) -> Sequence[str]:
        return [str(_PROGRAM), "serve", "--http", f"127.0.0.1:{port}", "--dir", str(self._directory(url))]

    def environment(self, url: str) -> Mapping[str, str]:
        return {**os.environ, "GOMAXPROCS": "1"}  # as many as it has cores

    def path_of_page(self, after: str, skipped: int) -> str:
        raise NotImplementedError("no page of PocketBase is measured")

    def path_of_user(self, user_id: str) -> str:
        return f"/api/collections/members/records/{_id_of(user_id)}"

    @staticmethod
    def _directory(url: str) -> Path:
        return Path(url.removeprefix("sqlite:///")).with_suffix(".pocketbase")

    def _create_collection(self, url: str) -> None:
        port = free_port()
        server = subprocess.Popen(  # noqa: S603 - a program of the rivals' environment
            self.command(url, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(port)
            signed_in = request(port, "POST", "/api/collections/_superusers/auth-with-password", _ADMIN).json()
            unique = [f"CREATE UNIQUE INDEX idx_{name} ON members ({name})" for name in ("email", "username")]
            collection = {
                "name": "members",
                "type": "base",
                "viewRule": "",  # anyone may, as in open mode
                "updateRule": "",
                "fields": [{"name": name, "type": "text"} for name in _TEXTS]
                + [{"name": "updated", "type": "autodate", "onCreate": True, "onUpdate": True}],
                "indexes": unique,
            }
            created = request(port, "POST", "/api/collections", collection, {"Authorization": signed_in["token"]})
            if "id" not in created.json():
                raise SystemExit(f"PocketBase refuses the collection: {json.dumps(created.json())}")
        finally:
            server.terminate()
            server.wait(timeout=15)


def _wait_for(port: int) -> None:
    start = time.perf_counter()
    while time.perf_counter() - start < _START_SECONDS:
        try:
            request(port, "GET", PocketBase.ready_path)
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("PocketBase does not start")


def _id_of(user_id: str) -> str:
    """Return 15 characters, the length of PocketBase's ids, that sort like the id."""
    return user_id.replace("-", "")[-15:]
