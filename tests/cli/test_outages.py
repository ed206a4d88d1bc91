"""What clients of a served process experience during a storage outage."""

import asyncio

import httpx
import pytest

from adapters.storage_contract.faulty_proxy import Fault, FaultyProxy
from tests.cli.serving import serving, wait_until_ready
from tests.http.records import new_user
from tests.http.test_failures import CALLS
from tests.servers.choice import SERVED, Kind
from tests.servers.databases import Databases, server_kind
from tests.storage.database_contract import connected

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", SERVED)
async def test_every_call_is_503_while_the_storage_fails_and_works_once_it_is_back(
    databases: Databases, kind: Kind
) -> None:
    served = server_kind(kind)
    with databases.fresh(kind) as url, FaultyProxy(served.endpoint(url)) as proxy:
        async with connected(url) as storage:
            await storage.prepare()
        with serving(served.moved(url, proxy.port)) as (_, address):
            wait_until_ready(address)
            async with httpx.AsyncClient(base_url=address, timeout=30) as client:
                for fault in (Fault.CLOSE, Fault.GARBAGE):
                    location = (await client.post("/users", json=new_user())).headers["location"]
                    proxy.fault = fault
                    calls = (client.request(method, path, json=body) for method, path, body in CALLS)
                    assert [response.status_code for response in await asyncio.gather(*calls)] == [503] * len(CALLS)
                    assert (await client.get("/health/live")).status_code == 200
                    proxy.fault = None
                    assert (await client.get("/health/ready")).status_code == 200
                    assert (await client.get(location)).status_code == 200
