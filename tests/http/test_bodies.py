"""Bodies that are not JSON, not an object, too large, or of another media type."""

import codecs
import json
from collections.abc import AsyncIterator
from typing import Final

import httpx
import pytest

from tests.http.problems import code_of, pointers_of
from tests.http.records import new_user, path_of, publish, register

JSON: Final = {"content-type": "application/json"}
LIMIT: Final = 256 * 1024

USER: Final = b'{"email": "ann@example.org", "name": "Ann"}'

NOT_JSON: Final = [
    b"",
    b" \n",
    b"{",
    USER[:-1],
    USER + b"}",
    USER + USER,
    USER.replace(b'"', b"'"),
    b'{"email": "ann@example.org", "name": "Ann",}',
    b'{email: "ann@example.org"}',
    b"// no\n" + USER,
    b"undefined",
    b"NaN",
    b"-Infinity",
    b'{"email": "ann@example.org", "name": NaN}',
    b'{"email": "ann@example.org", "name": "Ann", "role": Infinity}',
    b'{"email": "ann@example.org", "name": "tab\there"}',
    b'{"email": "ann@example.org", "name": "\x00"}',
    b'{"email": "ann@example.org", "name": "\xff\xfe"}',
    b'{"email": "ann@example.org", "name": "\xed\xa0\x80"}',
    b'{"email": "ann@example.org", "name": "\xc0\x80"}',
    '{"email": "ann@example.org", "name": "Am\u00e9lie"}'.encode("latin-1"),
    codecs.BOM_UTF8 + USER,
    USER.decode().encode("utf-16"),
    USER.decode().encode("utf-16-le"),
    USER.decode().encode("utf-32"),
    b'{"email": "\\x41"}',
    b'{"email": "\\u12"}',
    b"\x00",
    b"0x10",
    b"01",
    b"+1",
    b".5",
    b"email=ann@example.org",
    b"<user/>",
]


@pytest.fixture
async def writes(memory_client: httpx.AsyncClient) -> list[tuple[str, str]]:
    """Every call with a body."""
    user = await register(memory_client)
    post = await publish(memory_client, user)
    return [
        ("POST", "/users"),
        ("PUT", path_of(user)),
        ("PATCH", path_of(user)),
        ("POST", f"{path_of(user)}/posts"),
        ("PATCH", path_of(post)),
    ]


@pytest.mark.parametrize("content", NOT_JSON)
async def test_a_body_that_is_empty_or_no_json_is_400(
    memory_client: httpx.AsyncClient, writes: list[tuple[str, str]], content: bytes
) -> None:
    for method, path in writes:
        response = await memory_client.request(method, path, content=content, headers=JSON)
        assert (response.status_code, code_of(response)) in {(400, "empty_body"), (400, "invalid_json")}


async def test_many_unknown_members_are_one_error(
    memory_client: httpx.AsyncClient, writes: list[tuple[str, str]]
) -> None:
    for method, path in writes:
        few = await memory_client.request(method, path, json={f"x{n}": 0 for n in range(100)})
        assert len(pointers_of(few)) >= 100
        many = await memory_client.request(method, path, json={f"x{n}": 0 for n in range(20_000)})
        assert pointers_of(many) == {""}
        assert many.json()["errors"][0]["code"] == "too_many_members"


async def test_many_unknown_parameters_are_one_error(memory_client: httpx.AsyncClient) -> None:
    response = await memory_client.get("/users", params={f"x{n}": "" for n in range(5_000)})
    assert pointers_of(response) == {"query"}
    assert response.json()["errors"][0]["code"] == "too_many_members"


@pytest.mark.parametrize("content", [b"[]", b'["email"]', b'"text"', b"0", b"1.5", b"true", b"null", b" null "])
async def test_json_that_is_no_object_is_422(
    memory_client: httpx.AsyncClient, writes: list[tuple[str, str]], content: bytes
) -> None:
    for method, path in writes:
        assert pointers_of(await memory_client.request(method, path, content=content, headers=JSON)) == {""}


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"name":' * 20_000 + b"0" + b"}" * 20_000,
        b'{"email": "ann@example.org", "name": ' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"email": "ann@example.org", "name": ' + b"9" * 5000 + b"}",
        b'{"email": "ann@example.org", "name": 1e400}',
        b'{"email": "ann@example.org", "name": -1e-400}',
        b'{"email": "ann@example.org", "name": 123456789012345678901234567890}',
        b'{"email": "ann@example.org", "name": "Ann", "active": 1e0}',
        b"[" * 100_000,
        b"9" * 200_000,
        json.dumps({f"field{n}": n for n in range(10_000)}).encode(),
        b'{"' + b"f" * 200_000 + b'": 1}',
        b'{"": 1}',
        b'{"\\u0000": 1}',
        b'{"__proto__": {}, "__class__": 1, "model_config": 1, "self": 1}',
    ],
    ids=lambda content: f"{content[:24].decode()}-{len(content)}-bytes",
)
async def test_odd_json_is_refused(
    memory_client: httpx.AsyncClient, writes: list[tuple[str, str]], content: bytes
) -> None:
    for method, path in writes:
        response = await memory_client.request(method, path, content=content, headers=JSON)
        assert (response.status_code, code_of(response)) in {(400, "invalid_json"), (422, "invalid_input")}


@pytest.mark.parametrize("name", ["\\ud800", "\\udc00x", "a\\ud800/b"])
async def test_a_lone_surrogate_in_the_name_of_a_field_is_422(
    memory_client: httpx.AsyncClient, writes: list[tuple[str, str]], name: str
) -> None:
    for method, path in writes:
        content = f'{{"{name}": 1}}'.encode()
        assert "" in pointers_of(await memory_client.request(method, path, content=content, headers=JSON))


async def test_a_surrogate_pair_is_one_character(memory_client: httpx.AsyncClient) -> None:
    content = USER.replace(b"Ann", b"\\ud83d\\ude00")
    response = await memory_client.post("/users", content=content, headers=JSON)
    assert response.json()["name"] == "\U0001f600"


async def test_a_field_that_is_given_twice_does_not_reach_500(memory_client: httpx.AsyncClient) -> None:
    content = b'{"email": "ann@example.org", "name": 1, "name": "Ann", "email": "bob@example.org"}'
    response = await memory_client.post("/users", content=content, headers=JSON)
    assert response.status_code in {201, 400, 422}


async def test_a_body_of_256_kib_is_read(memory_client: httpx.AsyncClient) -> None:
    response = await memory_client.post("/users", content=USER.ljust(LIMIT), headers=JSON)
    assert response.status_code == 201


@pytest.mark.parametrize("size", [LIMIT + 1, 10 * LIMIT])
async def test_a_larger_body_is_413(memory_client: httpx.AsyncClient, writes: list[tuple[str, str]], size: int) -> None:
    for method, path in writes:
        response = await memory_client.request(method, path, content=USER.ljust(size), headers=JSON)
        assert (response.status_code, code_of(response)) == (413, "body_too_large")


async def test_a_larger_body_in_chunks_is_413_before_its_end(memory_client: httpx.AsyncClient) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        yield USER
        for _ in range(10_000):
            sent += 1
            yield b" " * 1024

    response = await memory_client.post("/users", content=chunks(), headers=JSON)
    assert response.status_code == 413
    assert sent < 300


async def test_a_body_in_chunks_is_read(memory_client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for byte in USER:
            yield bytes([byte])

    assert (await memory_client.post("/users", content=chunks(), headers=JSON)).status_code == 201


@pytest.mark.parametrize("length", ["9" * 30, "9" * 5000, str(LIMIT + 1)])
async def test_an_announced_length_over_the_limit_is_413(memory_client: httpx.AsyncClient, length: str) -> None:
    response = await memory_client.post("/users", content=USER, headers={**JSON, "content-length": length})
    assert response.status_code == 413


@pytest.mark.parametrize("length", ["-1", "abc", "\u00b2", ""])
async def test_a_length_that_is_no_number_does_not_reach_500(memory_client: httpx.AsyncClient, length: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", length.encode("latin-1"))]
    response = await memory_client.post("/users", content=USER, headers=headers)
    assert response.status_code in {201, 400}


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonx",
        "application/vnd.api+json",
        "application/problem+json",
        "application",
        "",
        "json",
        "*/*",
        None,
    ],
)
async def test_another_media_type_is_415_with_the_accepted_types(
    memory_client: httpx.AsyncClient, writes: list[tuple[str, str]], media_type: str | None
) -> None:
    headers = {} if media_type is None else {"content-type": media_type}
    for method, path in writes:
        response = await memory_client.request(method, path, content=USER, headers=headers)
        assert (response.status_code, code_of(response)) == (415, "unsupported_media_type")
        if method == "POST":
            assert response.headers["accept-post"] == "application/json"
        if method == "PATCH":
            accepted = set(response.headers["accept-patch"].split(", "))
            assert accepted == {"application/merge-patch+json", "application/json"}


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_merge_patch_is_for_patch_alone(memory_client: httpx.AsyncClient, method: str) -> None:
    path = "/users" if method == "POST" else path_of(await register(memory_client))
    headers = {"content-type": "application/merge-patch+json"}
    assert (await memory_client.request(method, path, content=USER, headers=headers)).status_code == 415


@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;"]
)
async def test_a_media_type_may_have_capitals_and_parameters(memory_client: httpx.AsyncClient, media_type: str) -> None:
    response = await memory_client.post("/users", content=USER, headers={"content-type": media_type})
    assert response.status_code == 201


async def test_an_unexpected_body_is_ignored(memory_client: httpx.AsyncClient) -> None:
    path = path_of(await register(memory_client))
    for method, status in (("GET", 200), ("HEAD", 200), ("DELETE", 204)):
        response = await memory_client.request(method, path, content=b"\xff{", headers=JSON)
        assert response.status_code == status


async def test_an_unknown_record_is_404_even_for_a_patch_that_would_change_nothing(
    memory_client: httpx.AsyncClient,
) -> None:
    user = new_user()
    gone = await register(memory_client, **user)
    await memory_client.delete(path_of(gone))
    assert (await memory_client.patch(path_of(gone), json={})).status_code == 404


async def test_no_body_at_all_is_empty_and_not_of_a_wrong_type(memory_client: httpx.AsyncClient) -> None:
    nothing = await memory_client.post("/users")
    assert (nothing.status_code, code_of(nothing)) == (400, "empty_body")
    untyped = await memory_client.post("/users", content=b"{}")
    assert (untyped.status_code, code_of(untyped)) == (415, "unsupported_media_type")


async def test_a_field_that_is_named_twice_is_refused(memory_client: httpx.AsyncClient) -> None:
    body = b'{"email": "ann@example.org", "name": "Ann", "name": "Ben"}'
    response = await memory_client.post("/users", content=body, headers=JSON)
    assert (response.status_code, code_of(response)) == (400, "invalid_json")
