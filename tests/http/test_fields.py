"""The allowed values of each field, and how they are returned, on every store."""

import json
from typing import Any

import httpx
import pytest

from tests.http.problems import code_of, pointers_of
from tests.http.records import Record, new_user, path_of, publish, register

FOUR_BYTES = "\U0001f600"
DECOMPOSED, COMPOSED = "Ame\u0301lie", "Am\u00e9lie"
CONTROLS = ["a\x00b", "a\x07b", "a\x1bb", "a\x7fb", "a\x85b", "\x00", "\x1cab"]
LONE_SURROGATES = ["a\ud800b", "\udfff"]


EMAILS = [
    ("  ann@example.org\n", "ann@example.org"),
    ("Ann.Example@EXAMPLE.Org", "Ann.Example@example.org"),
    ("ann+tag@example.org", "ann+tag@example.org"),
    ("ann@B\u00dcCHER.example", "ann@xn--bcher-kva.example"),
    (f"{DECOMPOSED}@example.org", f"{COMPOSED}@example.org"),
    ("\u7528\u6237@\u4f8b\u5b50.\u5e7f\u544a", "\u7528\u6237@xn--fsqu00a.xn--4rr70v"),
    (f"{'a' * 64}@example.org", f"{'a' * 64}@example.org"),
    (f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 61}", f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 61}"),
]


@pytest.mark.parametrize(("sent", "kept"), EMAILS)
async def test_an_email_is_trimmed_and_composed_and_its_domain_becomes_lower_case_ascii(
    client: httpx.AsyncClient, sent: str, kept: str
) -> None:
    user = await register(client, email=sent)
    assert user["email"] == kept
    assert (await client.get(path_of(user))).json()["email"] == kept


@pytest.mark.parametrize(
    "email",
    [
        "",
        "   ",
        "ann",
        "@example.org",
        "ann@",
        "ann@example",
        "ann@@example.org",
        "ann example@example.org",
        ".ann@example.org",
        "ann..e@example.org",
        "ann@-example.org",
        "ann@exa_mple.org",
        "ann@127.0.0.1",
        "ann@[127.0.0.1]",
        f"{'a' * 65}@example.org",
        f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 62}",
        f"ann@{'b' * 64}.org",
        f"ann@{'b' * 5000}.org",
        *(f"{text}@example.org" for text in [*CONTROLS[:5], *LONE_SURROGATES]),
        "ann@example\x00.org",
    ],
)
async def test_an_invalid_email_is_422(client: httpx.AsyncClient, email: str) -> None:
    assert pointers_of(await _post_user(client, email=email)) == {"/email"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann@example.org", "ANN@EXAMPLE.ORG"),
        ("stra\u00dfe@example.org", "STRASSE@example.org"),
        (f"{COMPOSED}@example.org", f"{DECOMPOSED.upper()}@example.org"),
        ("\u03c3\u03c2@example.org", "\u03a3\u03a3@example.org"),
        ("ann@b\u00fccher.example", "ann@XN--BCHER-KVA.example"),
    ],
)
async def test_emails_that_differ_by_case_or_composition_are_the_same(
    client: httpx.AsyncClient, one: str, other: str
) -> None:
    await register(client, email=one)
    response = await _post_user(client, email=other)
    assert (response.status_code, code_of(response)) == (409, "email_taken")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann@example.org", "ann+news@example.org"),
        ("annexample@example.org", "ann.example@example.org"),
        ("rene@example.org", "ren\u00e9@example.org"),
        ("ann@example.org", "ann@mail.example.org"),
        ("a-b@example.org", "ab@example.org"),
        ("\u0131@example.org", "i@example.org"),
        ("\uff41@example.org", "a@example.org"),
        (f"{FOUR_BYTES}@example.org", "\U0001f601@example.org"),
    ],
)
async def test_emails_that_differ_by_more_are_two(client: httpx.AsyncClient, one: str, other: str) -> None:
    await register(client, email=one)
    await register(client, email=other)


@pytest.mark.parametrize("username", ["abc", "Ann_B.c-d", "0abc", "a" * 32, "a..", "A--"])
async def test_a_username_keeps_its_display_form(client: httpx.AsyncClient, username: str) -> None:
    user = await register(client, username=username)
    assert user["username"] == username
    assert (await client.get(path_of(user))).json()["username"] == username


@pytest.mark.parametrize(
    "username",
    ["", "ab", "a" * 33, "_ann", ".ann", "-ann", "an n", " ann", "ann\n", "\u00e4nna", "ann@b", "\uff41nn", "ann\x00"],
)
async def test_an_invalid_username_is_422(client: httpx.AsyncClient, username: str) -> None:
    assert pointers_of(await _post_user(client, username=username)) == {"/username"}


async def test_any_number_of_users_have_no_username(client: httpx.AsyncClient) -> None:
    assert [(await register(client))["username"] for _ in range(3)] == [None] * 3


NAMES = [
    ("  Ann \u3000", "Ann"),
    (DECOMPOSED, COMPOSED),
    ("\u674e\u5c0f\u9f99", "\u674e\u5c0f\u9f99"),
    ("\u0639\u0644\u064a", "\u0639\u0644\u064a"),
    ("x", "x"),
    ('O\'Neil "Q" <b>; DROP TABLE users; -- \\', 'O\'Neil "Q" <b>; DROP TABLE users; -- \\'),
    (FOUR_BYTES * 100, FOUR_BYTES * 100),
    ("e\u0301" * 100, "\u00e9" * 100),
    ("a\u200db", "a\u200db"),
]


@pytest.mark.parametrize(("sent", "kept"), NAMES)
async def test_a_name_of_any_script_is_trimmed_and_composed(client: httpx.AsyncClient, sent: str, kept: str) -> None:
    user = await register(client, name=sent)
    assert user["name"] == kept
    assert (await client.get(path_of(user))).json()["name"] == kept


@pytest.mark.parametrize(
    "name", ["", " ", "\u3000\u2028", "a" * 101, FOUR_BYTES * 101, "a\nb", "a\tb", *CONTROLS, *LONE_SURROGATES]
)
async def test_an_invalid_name_is_422(client: httpx.AsyncClient, name: str) -> None:
    assert pointers_of(await _post_user(client, name=name)) == {"/name"}


TEXTS = [
    ("one\ntwo\r\n\tthree", "one\ntwo\r\n\tthree"),
    (" \n text \t", "text"),
    (DECOMPOSED, COMPOSED),
]


@pytest.mark.parametrize(("sent", "kept"), [*TEXTS, (FOUR_BYTES * 1000, FOUR_BYTES * 1000), (None, None)])
async def test_a_bio_may_have_line_breaks_and_tabs(
    client: httpx.AsyncClient, sent: str | None, kept: str | None
) -> None:
    user = await register(client, bio=sent)
    assert user["bio"] == kept
    assert (await client.get(path_of(user))).json()["bio"] == kept


@pytest.mark.parametrize("bio", ["a" * 1001, FOUR_BYTES * 1001, *CONTROLS, *LONE_SURROGATES])
async def test_an_invalid_bio_is_422(client: httpx.AsyncClient, bio: str) -> None:
    assert pointers_of(await _post_user(client, bio=bio)) == {"/bio"}


@pytest.mark.parametrize(("sent", "kept"), [*NAMES, ("a" * 200, "a" * 200), (FOUR_BYTES * 200, FOUR_BYTES * 200)])
async def test_a_title_of_any_script_is_trimmed_and_composed(client: httpx.AsyncClient, sent: str, kept: str) -> None:
    post = await publish(client, await register(client), title=sent)
    assert post["title"] == kept
    assert (await client.get(path_of(post))).json()["title"] == kept


@pytest.mark.parametrize("title", ["", " ", "a" * 201, "a\nb", "a\tb", *CONTROLS, *LONE_SURROGATES])
async def test_an_invalid_title_is_422(client: httpx.AsyncClient, title: str) -> None:
    assert pointers_of(await _post_post(client, title=title)) == {"/title"}


@pytest.mark.parametrize(("sent", "kept"), [*TEXTS, (FOUR_BYTES * 10_000, FOUR_BYTES * 10_000), ("a", "a")])
async def test_a_body_may_have_line_breaks_and_tabs(client: httpx.AsyncClient, sent: str, kept: str) -> None:
    post = await publish(client, await register(client), body=sent)
    assert post["body"] == kept
    assert (await client.get(path_of(post))).json()["body"] == kept


@pytest.mark.parametrize("body", ["", " \n\t", "a" * 10_001, *CONTROLS, *LONE_SURROGATES])
async def test_an_invalid_post_body_is_422(client: httpx.AsyncClient, body: str) -> None:
    assert pointers_of(await _post_post(client, body=body)) == {"/body"}


@pytest.mark.parametrize(
    "password", ["eight ch", "p" * 256, FOUR_BYTES * 8, "spaces are  kept ", "tab\tand\nbreak\x00"]
)
async def test_a_password_has_8_to_256_characters_of_any_kind(memory_client: httpx.AsyncClient, password: str) -> None:
    await register(memory_client, password=password)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "seven77",
        "p" * 257,
        "e\u0301" * 7,
        "password123",
        "PassWord123",
        "ann@example.org",
        "ANN@EXAMPLE.ORG",
        "Ann Q. Example",
        "ann_example",
        "lone \ud800 surrogate",
    ],
)
async def test_a_password_that_is_short_long_common_or_the_users_own_data_is_422(
    memory_client: httpx.AsyncClient, password: str
) -> None:
    own = {"email": "ann@example.org", "name": "Ann Q. Example", "username": "ann_example"}
    assert pointers_of(await _post_user(memory_client, **own, password=password)) == {"/password"}


@pytest.mark.parametrize("role", ["", "owner", "Admin", "ADMIN", "admin "])
async def test_an_unknown_role_is_422(memory_client: httpx.AsyncClient, role: str) -> None:
    assert pointers_of(await _post_user(memory_client, role=role)) == {"/role"}


WRONG_FOR_TEXT: list[Any] = [None, True, 0, 1.5, [], ["a"], {}, {"a": "b"}]
WRONG_FOR_BOOLEAN: list[Any] = [None, 0, 1, 1.0, "true", "false", "yes", [], {}]
WRONG_TYPES: list[tuple[str, Any]] = [
    *((field, value) for value in WRONG_FOR_TEXT for field in ("email", "name", "role")),
    *((field, value) for field in ("username", "bio", "password") for value in WRONG_FOR_TEXT[1:]),
    *(("active", value) for value in WRONG_FOR_BOOLEAN),
]


@pytest.mark.parametrize(("field", "value"), WRONG_TYPES)
async def test_a_field_of_another_type_is_422(memory_client: httpx.AsyncClient, field: str, value: Any) -> None:
    user = await register(memory_client)
    assert pointers_of(await _post_user(memory_client, **{field: value})) == {f"/{field}"}
    replaced = await memory_client.put(path_of(user), json=new_user(**{field: value}))
    assert pointers_of(replaced) == {f"/{field}"}
    assert pointers_of(await memory_client.patch(path_of(user), json={field: value})) == {f"/{field}"}


@pytest.mark.parametrize("field", ["title", "body"])
@pytest.mark.parametrize("value", WRONG_FOR_TEXT)
async def test_a_field_of_a_post_of_another_type_is_422(
    memory_client: httpx.AsyncClient, field: str, value: Any
) -> None:
    post = await publish(memory_client, await register(memory_client))
    assert pointers_of(await _post_post(memory_client, **{field: value})) == {f"/{field}"}
    assert pointers_of(await memory_client.patch(path_of(post), json={field: value})) == {f"/{field}"}


FOREIGN = ["id", "version", "created_at", "updated_at", "e-mail", "Email", "author_id", "posts", ""]


@pytest.mark.parametrize("field", FOREIGN)
@pytest.mark.parametrize("value", ["x", None])
async def test_a_read_only_field_of_a_user_is_422(memory_client: httpx.AsyncClient, field: str, value: Any) -> None:
    user = await register(memory_client)
    assert pointers_of(await _post_user(memory_client, **{field: value})) == {f"/{field}"}
    replaced = await memory_client.put(path_of(user), json=new_user(**{field: value}))
    assert pointers_of(replaced) == {f"/{field}"}
    patched = await memory_client.patch(path_of(user), json={field: value, "name": "New"})
    assert pointers_of(patched) == {f"/{field}"}
    assert (await memory_client.get(path_of(user))).json() == user


@pytest.mark.parametrize("field", ["id", "version", "created_at", "updated_at", "author_id", "name"])
async def test_a_read_only_field_of_a_post_is_422(memory_client: httpx.AsyncClient, field: str) -> None:
    post = await publish(memory_client, await register(memory_client))
    assert pointers_of(await _post_post(memory_client, **{field: post.get(field, "x")})) == {f"/{field}"}
    patched = await memory_client.patch(path_of(post), json={field: post.get(field, "x"), "title": "New"})
    assert pointers_of(patched) == {f"/{field}"}
    assert (await memory_client.get(path_of(post))).json() == post


@pytest.mark.parametrize("value", ["correct horse battery", None])
async def test_a_password_is_no_field_of_put_and_patch(memory_client: httpx.AsyncClient, value: str | None) -> None:
    user = await register(memory_client)
    replaced = await memory_client.put(path_of(user), json=new_user(password=value))
    assert pointers_of(replaced) == {"/password"}
    assert pointers_of(await memory_client.patch(path_of(user), json={"password": value})) == {"/password"}


async def test_all_errors_are_reported_at_once(memory_client: httpx.AsyncClient) -> None:
    wrong = {"email": "ann", "name": " ", "username": "_", "bio": "\x00", "password": "short"}
    assert pointers_of(await memory_client.post("/users", json=wrong)) == {f"/{field}" for field in wrong}


async def test_a_pointer_escapes_what_json_pointer_asks_for(memory_client: httpx.AsyncClient) -> None:
    assert pointers_of(await _post_user(memory_client, **{"a/b~c": 1})) == {"/a~1b~0c"}


async def _post_user(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await _post(client, "/users", new_user(**fields))


async def _post_post(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    author = await register(client)
    return await _post(client, f"{path_of(author)}/posts", {"title": "News", "body": "Text", **fields})


async def _post(client: httpx.AsyncClient, path: str, fields: Record) -> httpx.Response:
    # Escaped, because UTF-8 cannot encode a lone surrogate.
    content = json.dumps(fields).encode()
    return await client.post(path, content=content, headers={"content-type": "application/json"})
