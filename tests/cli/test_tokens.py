"""Token mode as an operator sets it up, with two worker processes, on every store that processes can share."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import userport
from tests.cli.serving import serving, unpooled, wait_until_ready

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery"
REQUESTS_TO_REACH_BOTH_WORKERS = 24


@pytest.fixture
def key(tmp_path: Path) -> Path:
    made = tmp_path / "key.pem"
    assert userport("keys", "new", "--out", made).exit_code == 0
    return made


@pytest.fixture
def address(prepared: str, key: Path) -> Iterator[str]:
    added = userport(
        *("users", "add", "--admin", "--email", "root@example.org", "--name", "Root", "--storage", prepared),
        pipe=f"{PASSWORD}\n".encode(),
    )
    assert added.exit_code == 0, added.errors
    with serving(prepared, "--workers", "2", USERPORT_SIGNING_KEY=str(key)) as (_, address):
        wait_until_ready(address)
        yield address


def sign_in(address: str, name: str, password: str = PASSWORD) -> httpx.Response:
    form = {"grant_type": "password", "username": name, "password": password}
    return unpooled.post(f"{address}/auth/token", data=form)


def headers_of(address: str, name: str) -> dict[str, str]:
    response = sign_in(address, name)
    assert response.status_code == 200, response.text
    return {"authorization": f"Bearer {response.json()['access_token']}"}


def statuses(address: str, headers: dict[str, str]) -> set[int]:
    """Call over many connections, so that every worker responds to some."""
    found = set()
    for _ in range(REQUESTS_TO_REACH_BOTH_WORKERS):
        found.add(unpooled.get(f"{address}/users/me", headers=headers).status_code)
    return found


def test_the_end_of_a_session_is_known_to_every_process_within_a_second(address: str) -> None:
    admin = headers_of(address, "root@example.org")
    ways: dict[str, Callable[[str, dict[str, str]], httpx.Response]] = {
        "removed": lambda user, _: unpooled.delete(f"{address}{user}", headers=admin),
        "disabled": lambda user, _: unpooled.patch(f"{address}{user}", json={"active": False}, headers=admin),
        "new password": lambda user, _: unpooled.put(
            f"{address}{user}/password", json={"new_password": "another horse battery"}, headers=admin
        ),
        "revoked": lambda _, own: unpooled.post(f"{address}/auth/revoke", data={"token": own["authorization"][7:]}),
        "ended": lambda _, own: unpooled.delete(
            f"{address}/auth/sessions/{unpooled.get(f'{address}/auth/sessions', headers=own).json()[0]['id']}",
            headers=own,
        ),
    }
    for number, (name, end) in enumerate(ways.items()):
        new = {"email": f"user{number}@example.org", "name": "Ann", "password": PASSWORD}
        user = unpooled.post(f"{address}/users", json=new).headers["location"]
        own = headers_of(address, f"user{number}@example.org")
        assert statuses(address, own) == {200}
        assert end(user, own).status_code in (200, 204), name
        ended = time.monotonic()
        while time.monotonic() < ended + 1:
            time.sleep(0.05)
        assert statuses(address, own) == {401}, name
    assert statuses(address, admin) == {200}


def test_failures_are_counted_by_all_processes_together(address: str) -> None:
    answers = [sign_in(address, "root@example.org", "wrong horse battery").status_code for _ in range(8)]
    assert answers == [400] * 5 + [429] * 3


def test_a_session_outlives_a_restart_and_a_change_of_keys(prepared: str, key: Path, tmp_path: Path) -> None:
    new = {"email": "ann@example.org", "name": "Ann", "password": PASSWORD}
    newer = tmp_path / "newer.pem"
    assert userport("keys", "new", "--out", newer, "--retire", key).exit_code == 0
    with serving(prepared, USERPORT_SIGNING_KEY=str(key)) as (_, address):
        wait_until_ready(address)
        unpooled.post(f"{address}/users", json=new).raise_for_status()
        tokens = sign_in(address, "ann@example.org").json()
    own = {"authorization": f"Bearer {tokens['access_token']}"}
    with serving(prepared, USERPORT_SIGNING_KEY=str(newer)) as (_, address):
        wait_until_ready(address)
        assert len(unpooled.get(f"{address}/.well-known/jwks.json").json()["keys"]) == 2
        assert unpooled.get(f"{address}/users/me", headers=own).status_code == 200
    newest = tmp_path / "newest.pem"
    assert userport("keys", "new", "--out", newest).exit_code == 0
    with serving(prepared, USERPORT_SIGNING_KEY=str(newest)) as (_, address):
        wait_until_ready(address)
        assert unpooled.get(f"{address}/users/me", headers=own).status_code == 401
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        again = unpooled.post(f"{address}/auth/token", data=form).json()
        own = {"authorization": f"Bearer {again['access_token']}"}
        assert unpooled.get(f"{address}/users/me", headers=own).status_code == 200


def test_a_key_that_is_gone_after_the_start_is_not_missed(sqlite: str, key: Path) -> None:
    with serving(sqlite, USERPORT_SIGNING_KEY=str(key)) as (_, address):
        wait_until_ready(address)
        key.unlink()
        assert unpooled.get(f"{address}/.well-known/jwks.json").status_code == 200
        assert sign_in(address, "unknown").status_code == 400


def test_token_mode_without_a_key_names_the_command() -> None:
    refused = userport("serve", "--auth", "token", "--storage", "memory://")
    assert (refused.exit_code, refused.errors.count("\n")) == (2, 1)
    assert "userport keys new --out" in refused.errors


@pytest.mark.parametrize("key", ["/no/such/file", "no key", "-----BEGIN PRIVATE KEY-----\nMC4CAQ\n"])
def test_a_wrong_key_is_reported_in_one_line(key: str) -> None:
    refused = userport("serve", "--storage", "memory://", USERPORT_SIGNING_KEY=key)
    assert (refused.exit_code, refused.errors.count("\n")) == (2, 1)
    assert "USERPORT_SIGNING_KEY" in refused.errors
    assert "MC4CAQ" not in refused.errors


# The second form is reported by dual-stack sockets for IPv4.
@pytest.mark.parametrize("host", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_who_a_proxy_forwards_for_is_believed_if_the_proxy_is_trusted(sqlite: str, key: Path, host: str) -> None:
    forwarded = {"x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https"}

    def guess(address: str, number: int) -> httpx.Response:
        form = {"grant_type": "password", "username": f"unknown{number}", "password": "wrong horse battery"}
        return unpooled.post(f"{address}/auth/token", data=form, headers=forwarded)

    few = {"USERPORT_SIGNING_KEY": str(key), "USERPORT_HOST": host, "USERPORT_SIGN_IN_FAILURES_PER_ADDRESS": "2"}
    with serving(sqlite, **few, USERPORT_TRUSTED_PROXIES="10.0.0.0/8,127.0.0.1") as (_, address):
        wait_until_ready(address)
        assert [guess(address, number).status_code for number in range(3)] == [400, 400, 429]
        assert sign_in(address, "another").status_code == 400  # it comes from another address
        assert "strict-transport-security" in unpooled.get(f"{address}/health/live", headers=forwarded).headers
    with serving(sqlite, **few) as (_, address):
        wait_until_ready(address)
        assert guess(address, 4).status_code == 400  # from this machine, which already has one failure
        assert sign_in(address, "another").status_code == 429
        assert "strict-transport-security" not in unpooled.get(f"{address}/health/live", headers=forwarded).headers
