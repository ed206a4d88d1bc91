"""The verification of an address, as clients see it."""

import httpx
import pytest

from tests.http.problems import pointers_of
from tests.http.records import new_user, path_of, register
from tests.http.service import Service
from tests.http.sign_in_helpers import a_member, an_admin


async def test_in_token_mode_a_user_says_whether_the_email_is_verified(
    token_client: httpx.AsyncClient, token_service: Service
) -> None:
    admin = await an_admin(token_service, token_client)
    made = await token_client.post("/users", json=new_user(), headers=admin.headers)
    assert made.json()["email_verified"] is False
    path = path_of(made.json())
    answers = [
        await token_client.get(path, headers=admin.headers),
        await token_client.patch(path, json={"name": "B"}, headers=admin.headers),
        await token_client.put(path, json=new_user(), headers=admin.headers),
    ]
    assert [answer.json()["email_verified"] for answer in answers] == [False] * 3
    for query in ("", "?search=ann", f"?email={answers[-1].json()['email']}"):
        listed = (await token_client.get(f"/users{query}", headers=admin.headers)).json()
        assert listed
        assert all(user["email_verified"] is False for user in listed)


async def test_in_open_mode_there_is_no_such_field(memory_client: httpx.AsyncClient) -> None:
    user = await register(memory_client)
    assert "email_verified" not in user
    assert "email_verified" not in (await memory_client.get("/users")).json()[0]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_it_is_read_only(
    memory_token_client: httpx.AsyncClient, memory_token_service: Service, method: str
) -> None:
    admin = await an_admin(memory_token_service, memory_token_client)
    member = await a_member(memory_token_client)
    body = {**new_user(), "email_verified": True}
    for person in (admin, member):
        answer = await memory_token_client.request(method, path_of(person.user), json=body, headers=person.headers)
        assert pointers_of(answer) == {"/email_verified"}
    assert pointers_of(await memory_token_client.post("/users", json=body)) == {"/email_verified"}


async def test_the_document_has_the_field_in_token_mode_alone(
    memory_service: Service, memory_token_service: Service
) -> None:
    for service, is_there in ((memory_service, False), (memory_token_service, True)):
        schema = service.document.openapi["components"]["schemas"]["User"]
        created = service.document.openapi["paths"]["/users"]["post"]["responses"]["201"]["content"]
        listed = service.document.openapi["paths"]["/users"]["get"]["responses"]["200"]["content"]
        example = created["application/json"]["examples"]["record"]["value"]
        page = listed["application/json"]["examples"]["page"]["value"]
        for names in (schema["properties"], schema["required"], example, page[0]):
            assert ("email_verified" in names) is is_there
        assert "x-mode" not in str(schema)
