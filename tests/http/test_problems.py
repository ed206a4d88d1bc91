"""Every error is a problem document. (All other HTTP tests check the errors that they see, too.)"""

import httpx
import pytest

from tests.http.problems import check_problem, code_of, pointers_of
from tests.http.records import UNKNOWN_ID, new_user, path_of, register


async def test_a_problem_names_error_path_and_request(memory_client: httpx.AsyncClient) -> None:
    response = await memory_client.get(f"/users/{UNKNOWN_ID}?x=1", headers={"x-request-id": "mine"})
    assert response.status_code == 404
    assert response.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": response.json()["detail"],
        "instance": f"/users/{UNKNOWN_ID}",
        "code": "user_not_found",
        "request_id": "mine",
    }


async def test_each_status_has_its_codes(memory_client: httpx.AsyncClient) -> None:
    user = await register(memory_client, email="ann@example.org", username="ann")
    stale = {"if-match": '"other"'}
    post = memory_client.post
    answers = [
        (await post("/users", content=b"", headers={"content-type": "application/json"}), 400, "empty_body"),
        (await post("/users", content=b"{", headers={"content-type": "application/json"}), 400, "invalid_json"),
        (await memory_client.get("/users?cursor=x"), 400, "invalid_cursor"),
        (await memory_client.get("/users", headers={"host": "example.org"}), 403, "not_local"),
        (await memory_client.get(f"/users/{UNKNOWN_ID}"), 404, "user_not_found"),
        (await memory_client.get(f"/posts/{UNKNOWN_ID}"), 404, "post_not_found"),
        (await memory_client.get("/nothing"), 404, "not_found"),
        (await memory_client.put("/users"), 405, "method_not_allowed"),
        (await post("/users", json=new_user(email="ANN@example.org")), 409, "email_taken"),
        (await post("/users", json=new_user(username="ANN")), 409, "username_taken"),
        (await memory_client.delete(path_of(user), headers=stale), 412, "version_mismatch"),
        (await post("/users", json={"x": "x" * 300_000}), 413, "body_too_large"),
        (await post("/users", content=b"x"), 415, "unsupported_media_type"),
        (await post("/users", json={}), 422, "invalid_input"),
        (await memory_client.get("/users?limit=0"), 422, "invalid_input"),
    ]
    for response, status, code in answers:
        check_problem(response)
        assert (response.status_code, code_of(response)) == (status, code)


async def test_each_refused_field_has_a_code_of_its_own(memory_client: httpx.AsyncClient) -> None:
    body = {"name": 1, "bio": "x", "role": "owner", "id": "x"}
    response = await memory_client.post("/users", json=body)
    codes = {error["pointer"]: error["code"] for error in response.json()["errors"]}
    assert codes == {"/email": "required", "/name": "wrong_type", "/role": "not_allowed", "/id": "not_writable"}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"email": "ann"}, "invalid_email"),
        ({"email": "ann@-.org"}, "invalid_domain"),
        ({"name": " "}, "blank"),
        ({"name": "a" * 101}, "too_long"),
        ({"name": "\x00"}, "invalid_character"),
        ({"username": "_"}, "invalid_username"),
        ({"password": "short"}, "too_short"),
        ({"password": "password1"}, "common_password"),
        ({"name": "Ann Example", "password": "ann example"}, "own_data"),
    ],
)
async def test_the_rules_of_a_field_have_codes(
    memory_client: httpx.AsyncClient, fields: dict[str, str], code: str
) -> None:
    response = await memory_client.post("/users", json=new_user(**fields))
    assert response.status_code == 422
    assert [error["code"] for error in response.json()["errors"]] == [code]


async def test_an_out_of_range_parameter_is_named_by_its_name(memory_client: httpx.AsyncClient) -> None:
    response = await memory_client.get("/users?limit=0&order=up&count=x&offset=-1&page=2")
    assert pointers_of(response) == {"limit", "order", "count", "offset", "page"}


async def test_there_is_an_end_to_the_list_of_errors(memory_client: httpx.AsyncClient) -> None:
    response = await memory_client.post("/users", json={f"field{n}": 1 for n in range(10_000)})
    assert response.status_code == 422
    assert len(response.content) < 100_000
