"""No value from a request is echoed in an error or reaches a log."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from entrypoints.logs import JsonFormatter
from tests.http.collector import collecting
from tests.http.mailbox import token_of
from tests.http.records import UNKNOWN_ID, Record, new_user, path_of, publish, register
from tests.http.scrapes import measured
from tests.http.service import Service
from tests.http.sign_in_helpers import SIGNING_KEY, a_member, an_admin, bearer, sign_in
from tests.servers.databases import Databases

SECRET: Final = "Xq7marker9Zt"
OURS_TO_SEND: Final = ("httpx", "httpcore")
"""The loggers of the client, which may log what it sends."""


def _user(**fields: Any) -> Record:
    return new_user(**fields)


BODIES: Final[list[Any]] = [
    _user(email=SECRET),
    _user(email=f"{SECRET}@"),
    _user(email=f"{SECRET}@{SECRET}"),
    _user(email=[SECRET]),
    _user(email={SECRET: SECRET}),
    _user(name=f"{SECRET}\x00"),
    _user(name=SECRET * 20),
    _user(name=[SECRET]),
    _user(username=f"-{SECRET}"),
    _user(bio=f"{SECRET}\x07"),
    _user(bio={"x": SECRET}),
    _user(role=SECRET),
    _user(active=SECRET),
    _user(password=SECRET[:7]),
    _user(password=SECRET * 30),
    _user(password=[SECRET]),
    _user(password={"x": SECRET}),
    _user(password=SECRET, name=SECRET),
    _user(password=SECRET, email="nothing"),
    _user(password=SECRET, unknown=SECRET),
    _user(unknown={"x": [SECRET]}),
    _user(id=SECRET, version=SECRET),
    {"title": SECRET, "body": f"{SECRET}\x00"},
    {"title": SECRET * 30, "body": SECRET},
    {"title": [SECRET], "body": 1},
    [SECRET],
    SECRET,
]

CONTENTS: Final = [
    *(json.dumps(body).encode() for body in BODIES),
    f'{{"password": "{SECRET}", '.encode(),
    f'{{"password": "{SECRET}", "email": NaN}}'.encode(),
    f'{{"password": "{SECRET}" "email"}}'.encode(),
    f'{{"password": "{SECRET}"}}'.encode("utf-16"),
    f'{{"password": "{SECRET}\xe9"}}'.encode("latin-1"),
    SECRET.encode(),
    f"password={SECRET}".encode(),
    f'{{"name": "{SECRET}\\ud800"}}'.encode(),
    f'{{"name": {"[" * 50_000}"{SECRET}"'.encode(),
    SECRET.encode().ljust(300 * 1024),
]


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: content[:50].decode("latin-1"))
async def test_nothing_of_a_body_comes_back(
    memory_client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    user = await register(memory_client)
    post = await publish(memory_client, user)
    caplog.set_level(logging.DEBUG)
    for media_type in ("application/json", "application/merge-patch+json", "text/plain"):
        for method, path in (
            ("POST", "/users"),
            ("PUT", path_of(user)),
            ("PATCH", path_of(user)),
            ("POST", f"{path_of(user)}/posts"),
            ("PATCH", path_of(post)),
        ):
            headers = {"content-type": media_type}
            response = await memory_client.request(method, path, content=content, headers=headers)
            assert response.status_code >= 400
            _check(response, caplog)


@pytest.mark.parametrize("name", ["limit", "offset", "order", "count", "cursor", "search", "unknown"])
async def test_nothing_of_a_query_comes_back(
    memory_client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.DEBUG)
    for path in ("/users", f"{path_of(await register(memory_client))}/posts"):
        response = await memory_client.get(path, params={name: f"{SECRET}\x00"})
        assert response.status_code in {400, 422}
        _check(response, caplog)


@pytest.mark.parametrize(
    "name", ["if-match", "if-none-match", "content-type", "authorization", "cookie", "accept", "host", "origin"]
)
async def test_nothing_of_a_header_comes_back(
    memory_client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.DEBUG)
    user = await register(memory_client)
    for method, path in (
        ("PATCH", path_of(user)),
        ("GET", f"/users/{UNKNOWN_ID}"),
        ("PUT", "/users"),
        ("POST", "/users"),
    ):
        response = await memory_client.request(method, path, headers={name: f'"{SECRET}"'}, json={"name": 1})
        assert response.status_code >= 400
        _check(response, caplog)


async def test_a_conflict_does_not_reveal_the_value(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await register(client, email=f"{SECRET}@example.org", username=SECRET)
    for fields in ({"email": f"{SECRET}@example.org"}, {"username": SECRET.upper()}):
        response = await client.post("/users", json=new_user(**fields, password=f"{SECRET} and more"))
        assert response.status_code == 409
        _check(response, caplog)


async def test_a_password_of_a_new_user_is_in_no_log(memory_service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with memory_service.connect() as client:
        response = await client.post("/users", json=new_user(password=f"{SECRET} and more"))
        assert response.status_code == 201
        _check(response, caplog)


def _check(response: httpx.Response, caplog: pytest.LogCaptureFixture) -> None:
    revealed = [response.text, *(f"{name}: {value}" for name, value in response.headers.multi_items())]
    revealed += [
        f"{record.getMessage()} {record.exc_text or ''} {record.__dict__}"
        for record in caplog.records
        if not record.name.startswith(OURS_TO_SEND)
    ]
    assert not [text for text in revealed if SECRET.lower() in text.lower()]


@pytest.fixture(params=["unreachable", pytest.param("reachable", marks=pytest.mark.slow)])
def cache(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """The URL of a cache, whose password is secret."""
    if request.param == "unreachable":
        yield f"redis://{SECRET}:{SECRET}@127.0.0.1:1/0"
        return
    server = databases.own_server("redis")
    server.password = SECRET
    with server:
        yield server.url


async def test_secrets_of_clients_and_operators_are_in_no_log_no_trace_and_no_metric(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: str
) -> None:
    files = tmp_path / "metrics"
    files.mkdir()
    key = tmp_path / "key.pem"
    key.write_text(SIGNING_KEY)
    caplog.set_level(logging.DEBUG)
    caplog.handler.setFormatter(JsonFormatter())
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization={SECRET}")
        settings: dict[str, Any] = {
            "mail": f"smtp://{SECRET}:{SECRET}@localhost",
            "access_log": True,
            "signing_key": str(key),
            "cache": cache,
        }
        async with (
            measured(files, f"sqlite:///{tmp_path}/{SECRET}.db", hashes=True, traced=True, **settings) as app,
            app.service.connect() as client,
        ):
            tokens = await _send_secrets_everywhere(app.service, client)
            app.service.container.key_reload().reload()
            formats = ("", "application/openmetrics-text; version=1.0.0")
            scraped = [app.exposition.render(accept)[0].decode() for accept in formats]
            scraped += [path.read_bytes().decode("latin-1") for path in files.iterdir()]
            lookups = {name: value for name, value in app.series.items() if "cache_lookups" in name and value}
    outcome = "bypass" if ":1/" in cache else "miss"
    assert f'userport_cache_lookups_total{{outcome="{outcome}"}}' in lookups
    assert {"POST /users", "POST /auth/token", "GET /users", "GET", "storage.users.search", "job mail"} <= {
        span.name for span in collector.spans
    }
    logged = [
        line for line in caplog.text.splitlines() if json.loads(line)["logger"].partition(".")[0] not in OURS_TO_SEND
    ]
    written = [*logged, *(body.decode("latin-1") for body in collector.bodies), *scraped]
    key_lines = [line for line in SIGNING_KEY.splitlines() if "KEY" not in line]
    for secret in (SECRET.lower(), *tokens, *key_lines):
        assert not [text for text in written if secret in text or secret in text.lower()]


async def _send_secrets_everywhere(service: Service, client: httpx.AsyncClient) -> list[str]:
    """Send a secret as each part of requests, good and bad ones; return the tokens that were made."""
    headers = {"x-secret": SECRET, "host": f"{SECRET}.example.org", "user-agent": SECRET, "baggage": f"a={SECRET}"}
    member = await a_member(client, email=f"{SECRET}@example.org", name=SECRET, username=SECRET, bio=SECRET)
    await service.do_jobs()
    link = token_of(service.mailbox.mails[-1])
    admin = await an_admin(service, client)
    for parameters in ({"search": SECRET}, {"email": f"{SECRET}@example.org"}, {"cursor": SECRET}):
        await client.get("/users", params=parameters, headers=headers | admin.headers)
    await client.get(f"/nothing/{SECRET}", headers=headers)
    await client.delete(f"/users/{SECRET}", headers=headers)
    await client.post("/users", json=new_user(password=SECRET), headers=headers)
    await sign_in(client, SECRET, f"{SECRET} and more")
    await client.get("/users/me", headers=bearer(SECRET))
    await client.post("/auth/email-verification/confirm", json={"token": link})
    await client.post("/auth/email-verification/confirm", json={"token": SECRET})
    service.mailbox.failures.append(RuntimeError(SECRET))
    await client.post("/auth/password-reset", json={"email": f"{SECRET}@example.org"})
    await service.do_jobs()
    return [*(member.tokens[name] for name in ("access_token", "refresh_token")), link]
