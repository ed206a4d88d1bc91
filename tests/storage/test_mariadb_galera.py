"""MariaDB on three nodes of Galera, with every second client on another node."""

from collections.abc import AsyncIterator, Iterator
from typing import ClassVar

import pytest

from adapters.storage_contract.admins import an_admin
from adapters.storage_contract.concurrency import ConcurrencyCases
from adapters.storage_contract.examples import a_post, a_user, an_email, renamed
from adapters.storage_contract.requirements import RequirementCases
from adapters.storage_contract.steps import add, outcomes, read_all, remove, save, stored, stored_user
from domain.errors import EmailTaken, StaleVersion, StorageUnavailable
from domain.storage import Storage
from domain.user import User
from tests.servers.choice import Kind
from tests.servers.galera import GaleraCluster
from tests.servers.mariadb import KIND
from tests.storage.database_contract import ServerStorageContract, connected
from tests.storage.failovers import added_at_last

ROUNDS = 30


@pytest.fixture(scope="module")
def cluster() -> Iterator[GaleraCluster]:
    with GaleraCluster() as cluster:
        yield cluster


class TestGaleraStorage(ServerStorageContract):
    kind: ClassVar[Kind] = "mariadb"
    quick_groups = (ConcurrencyCases, RequirementCases)

    @pytest.fixture(scope="class")
    @classmethod
    async def prepared_url(cls, cluster: GaleraCluster) -> AsyncIterator[str]:
        url = cluster.create()
        async with connected(url) as storage:
            await storage.prepare()
        yield url
        KIND.drop(url)

    @pytest.fixture
    async def another_client(self, empty_url: str, cluster: GaleraCluster) -> AsyncIterator[Storage]:
        async with connected(cluster.nodes[1].url_of_same(empty_url)) as storage:
            yield storage

    @pytest.fixture
    async def unprepared_clients(self, cluster: GaleraCluster) -> AsyncIterator[tuple[Storage, Storage]]:
        url = cluster.create()
        async with connected(url) as first, connected(cluster.nodes[1].url_of_same(url)) as second:
            yield first, second
        KIND.drop(url)


@pytest.fixture
async def clients(cluster: GaleraCluster) -> AsyncIterator[tuple[Storage, Storage]]:
    """Two storages on one database, on two nodes."""
    url = cluster.create()
    async with connected(url) as first, connected(cluster.nodes[1].url_of_same(url)) as second:
        await first.prepare()
        yield first, second
    KIND.drop(url)


async def test_of_two_users_with_one_email_on_two_nodes_one_is_added(clients: tuple[Storage, Storage]) -> None:
    for n in range(ROUNDS):
        email = an_email(f"user{n}@example.org")
        attempts = [add(client, a_user(email=email)) for client in clients]
        assert set(await outcomes(attempts)) == {None, EmailTaken}
    assert len((await read_all(clients[0])).users) == ROUNDS


async def test_of_two_changes_of_one_version_on_two_nodes_one_is_saved(clients: tuple[Storage, Storage]) -> None:
    user = a_user()
    await add(clients[0], user)
    for n in range(ROUNDS):
        changes = [renamed(user, f"{name} {n}") for name in ("Ann", "Ben")]
        results = await outcomes([save(client, change) for client, change in zip(clients, changes, strict=True)])
        assert set(results) == {None, StaleVersion}
        user = changes[results.index(None)]
        for client in clients:
            assert await stored_user(client, user) == user


async def test_of_two_admins_who_remove_each_other_on_two_nodes_one_is_left(clients: tuple[Storage, Storage]) -> None:
    for _ in range(ROUNDS):
        admins = an_admin(), an_admin()
        await add(clients[0], *admins)

        async def remove_other(client: Storage, own: User, other: User) -> None:
            unit = client.unit_of_work()
            unit.users.require(own)
            unit.users.remove(other)
            await unit.commit()

        attempts = [remove_other(clients[0], *admins), remove_other(clients[1], *reversed(admins))]
        assert set(await outcomes(attempts)) == {None, StaleVersion}
        (left,) = await clients[0].unit_of_work().users.active_admins(limit=10)
        await remove(clients[1], left)


async def test_a_node_sees_what_was_answered_on_another_one(clients: tuple[Storage, Storage]) -> None:
    writer, reader = clients
    for _ in range(ROUNDS):
        user = a_user()
        await add(writer, user)
        assert await stored_user(reader, user) == user
        post = a_post(user)
        await add(reader, post)
        assert await stored(writer, post) == post
        await save(reader, renamed(user, "Renamed"))
        assert await stored_user(writer, user) == renamed(user, "Renamed")
        await remove(writer, renamed(user, "Renamed"))
        assert await reader.unit_of_work().users.page(limit=10) == []


async def test_the_other_nodes_go_on_when_one_is_killed(
    cluster: GaleraCluster, clients: tuple[Storage, Storage]
) -> None:
    kept = a_user()
    await add(clients[0], kept)
    cluster.nodes[1].kill()
    newcomer = await added_at_last(clients[0])
    with pytest.raises(StorageUnavailable):
        await clients[1].ping()
    cluster.nodes[1].start()
    for user in (kept, newcomer):
        assert await stored_user(clients[1], user) == user
    await add(clients[1], a_user())
