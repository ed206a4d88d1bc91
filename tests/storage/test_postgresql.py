import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
from sqlalchemy import make_url

from adapters.storage_contract.examples import a_user
from adapters.storage_contract.steps import add, outcomes, read_all
from domain.errors import StorageUnavailable
from domain.storage import Storage
from tests.servers.choice import Kind
from tests.storage.database_contract import ServerStorageContract, connected
from tests.storage.sql_cases import SqlServerCases


class TestPostgreSQLStorage(ServerStorageContract):
    kind: ClassVar[Kind] = "postgresql"


class TestPostgreSQLCases(SqlServerCases):
    kind: ClassVar[Kind] = "postgresql"

    @pytest.mark.parametrize("number", [1, 3])
    async def test_additions_whose_answer_makes_no_sense_are_not_sent_again(
        self, url: str, storage: Storage, number: int
    ) -> None:
        users = [a_user() for _ in range(number)]
        async with garbling(url, b"INSERT 0 ") as garbled, connected(garbled) as client:
            assert set(await outcomes([add(client, user) for user in users])) == {StorageUnavailable}
        assert (await read_all(storage)).users == users


@asynccontextmanager
async def garbling(url: str, answer: bytes) -> AsyncIterator[str]:
    """Proxy a server, and replace the type of some of its messages by an invalid one."""
    server_url = make_url(url)
    under_way: set[asyncio.Task[None]] = set()

    async def pass_on(source: StreamReader, target: StreamWriter) -> None:
        while data := await source.read(2**16):
            place = data.find(answer) - 5  # the type, and four bytes of length
            target.write(data[:place] + b"\x7f" + data[place + 1 :] if place >= 0 else data)
        target.close()

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(server_url.host, server_url.port)
        ways = pass_on(reader, server_writer), pass_on(server_reader, writer)
        under_way.update(map(asyncio.create_task, ways))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        yield server_url.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
    await asyncio.gather(*under_way, return_exceptions=True)
