"""Liveness and readiness, on every store."""

import httpx
import pytest

from tests.http.document import OF_EVERY_ANSWER


@pytest.mark.every_store
async def test_a_service_is_alive_and_ready_and_says_nothing_more(client: httpx.AsyncClient) -> None:
    for path in ("/health/live", "/health/ready"):
        response = await client.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
        assert set(response.headers) - OF_EVERY_ANSWER == {"cache-control", "x-request-id"}
