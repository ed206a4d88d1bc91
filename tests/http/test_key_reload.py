"""Signing keys that change while the service runs."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from adapters.security.signing_keys import SigningKeys
from entrypoints.settings import load_settings
from entrypoints.signing_keys import SigningKeyReload, read_signing_keys
from tests.http.mailbox import token_of
from tests.http.records import new_user
from tests.http.service import Service, running
from tests.http.sign_in_helpers import PASSWORD, SIGNING_KEY, a_member, bearer, refresh

OLD = SigningKeys.new()
NEW = SigningKeys.new(retired=OLD)
ALONE = SigningKeys(NEW.private)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "key.pem"
    _write(made, OLD)
    return made


@pytest.fixture
async def service(file: Path) -> AsyncIterator[Service]:
    async with running("memory://", hashes=False, signing_key=str(file)) as service:
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with service.connect() as client:
        yield client


def _write(file: Path, keys: SigningKeys | str) -> None:
    file.write_text(keys if isinstance(keys, str) else keys.to_pem())
    file.chmod(0o600)


async def _published(client: httpx.AsyncClient) -> set[str]:
    return {key["kid"] for key in (await client.get("/.well-known/jwks.json")).json()["keys"]}


async def _status(client: httpx.AsyncClient, token: str) -> int:
    return (await client.get("/users/me", headers=bearer(token))).status_code


async def test_tokens_are_good_as_long_as_their_key_is_in_the_file(
    service: Service, client: httpx.AsyncClient, file: Path
) -> None:
    tokens = (await a_member(client)).tokens
    assert await _status(client, tokens["access_token"]) == 200
    _write(file, NEW)
    service.container.key_reload().reload()
    assert await _published(client) == {OLD.signing.id, NEW.signing.id}
    assert await _status(client, tokens["access_token"]) == 200
    newer = (await refresh(client, tokens["refresh_token"])).json()
    _write(file, ALONE)
    service.container.key_reload().reload()
    assert await _published(client) == {NEW.signing.id}
    assert await _status(client, tokens["access_token"]) == 401
    assert await _status(client, newer["access_token"]) == 200


async def test_links_of_queued_and_of_sent_mails_outlive_a_change_of_the_key(
    service: Service, client: httpx.AsyncClient, file: Path
) -> None:
    for name, do_jobs_first in (("sent", True), ("queued", False)):
        _write(file, OLD)
        service.container.key_reload().reload()
        service.mailbox.mails.clear()
        user = new_user(email=f"{name}@example.org", password=PASSWORD)
        assert (await client.post("/users", json=user)).status_code == 201
        if do_jobs_first:
            await service.do_jobs()
        _write(file, ALONE)
        service.container.key_reload().reload()
        await service.do_jobs()
        token = token_of(service.mailbox.mails[-1])
        assert (await client.post("/auth/email-verification/confirm", json={"token": token})).status_code == 204, name


@pytest.mark.parametrize("content", ["", "nothing", SIGNING_KEY[:60], SIGNING_KEY.replace("M", "N", 1)])
async def test_a_broken_file_is_one_line_in_the_log_and_changes_nothing(
    service: Service, client: httpx.AsyncClient, file: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    _write(file, content)
    for _ in range(4):
        service.container.key_reload().look()
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert "USERPORT_SIGNING_KEY" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert not content or content not in record.getMessage()
    assert await _published(client) == {OLD.signing.id}


async def test_a_changed_file_is_read_once_it_rests(service: Service, client: httpx.AsyncClient, file: Path) -> None:
    reload = service.container.key_reload()
    _write(file, NEW.to_pem()[:50])
    reload.look()
    _write(file, NEW)
    reload.look()
    assert await _published(client) == {OLD.signing.id}
    reload.look()
    assert await _published(client) == {OLD.signing.id, NEW.signing.id}
    file.rename(file.with_suffix(".old"))  # noqa: ASYNC240 - no other task is waiting
    for _ in range(2):
        reload.look()
    assert await _published(client) == {OLD.signing.id, NEW.signing.id}


def test_a_file_that_changed_before_it_was_first_looked_at_is_read(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings(storage="memory://", signing_key=str(file))
    keys = read_signing_keys(settings)
    SigningKeyReload(settings, keys, lambda: None).look()
    assert (keys.signing.id, capsys.readouterr().err) == (OLD.signing.id, "")
    _write(file, NEW)
    SigningKeyReload(settings, keys, lambda: None).look()
    assert keys.signing.id == NEW.signing.id
    assert NEW.signing.id in capsys.readouterr().err


async def test_a_secret_that_kubernetes_replaces_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It swaps the link `..data`, through which the file is a link."""
    for name, keys in (("..1", OLD), ("..2", NEW)):
        (tmp_path / name).mkdir()
        _write(tmp_path / name / "signing-key", keys)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "signing-key").symlink_to("..data/signing-key")
    monkeypatch.setenv("USERPORT_SIGNING_KEY_FILE", str(tmp_path / "signing-key"))
    async with running("memory://", hashes=False, signing_key=OLD.to_pem()) as service, service.connect() as client:
        service.container.key_reload().look()
        (tmp_path / "..next").symlink_to("..2")
        (tmp_path / "..next").rename(tmp_path / "..data")
        for _ in range(2):
            service.container.key_reload().look()
        assert await _published(client) == {OLD.signing.id, NEW.signing.id}


async def test_a_key_in_the_environment_itself_stays(client: httpx.AsyncClient) -> None:
    async with running("memory://", hashes=False, signing_key=SIGNING_KEY) as service, service.connect() as client:
        before = await _published(client)
        service.container.key_reload().look()
        service.container.key_reload().reload()
        assert await _published(client) == before
