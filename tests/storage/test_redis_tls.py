import asyncio
import shutil
from collections.abc import Iterator, Sequence
from typing import ClassVar

import pytest

from adapters.storage_contract.examples import a_full_user, a_user
from adapters.storage_contract.steps import add, read_all, stored_user
from domain.errors import StorageUnavailable
from tests.servers.choice import give_up, skip_unless_chosen
from tests.servers.redis import KIND, RedisProcess
from tests.storage.database_contract import connected


class TlsRedisProcess(RedisProcess):
    """A Redis with a self-signed certificate."""

    scheme: ClassVar = "rediss"

    @property
    def url(self) -> str:
        return f"{super().url}?ssl_ca={self.directory}/certificate.pem"

    def settings(self) -> Sequence[str]:
        return (
            *super().settings(),
            "port 0",
            f"tls-port {self.port}",
            f"tls-cert-file {self.directory}/certificate.pem",
            f"tls-key-file {self.directory}/key.pem",
            "tls-auth-clients no",
        )

    def initialize(self) -> None:
        super().initialize()
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", "key.pem")
        name = ("-subj", "/CN=userport", "-addext", "subjectAltName=IP:127.0.0.1")
        self.run("openssl", "req", "-x509", *key, "-out", "certificate.pem", *name)


@pytest.fixture
def server() -> Iterator[TlsRedisProcess]:
    skip_unless_chosen("redis")
    programs = KIND.find_programs()
    if programs is None or shutil.which("openssl") is None:
        give_up("redis", f"{KIND.how_to_get_it}, and openssl for TLS")
    with TlsRedisProcess(programs) as server:
        yield server


async def test_a_storage_goes_through_tls(server: TlsRedisProcess) -> None:
    async with connected(server.url) as storage:
        await storage.prepare()
        users = [a_user() for _ in range(30)]
        await asyncio.gather(*(add(storage, user) for user in users))
        assert (await read_all(storage)).users == users


async def test_a_server_with_tls_that_was_restarted_unnoticed_is_no_failure(server: TlsRedisProcess) -> None:
    async with connected(server.url) as storage:
        await storage.prepare()
        await asyncio.gather(*(read_all(storage) for _ in range(20)))
        server.stop()
        server.start()
        await storage.prepare()
        user = a_full_user()
        await add(storage, user)
        assert await stored_user(storage, user) == user


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
async def test_a_server_with_an_unknown_certificate_is_not_trusted(server: TlsRedisProcess, scheme: str) -> None:
    async with connected(f"{scheme}://{server.url.partition('://')[2].partition('?')[0]}") as storage:
        with pytest.raises(StorageUnavailable):
            await storage.ping()
