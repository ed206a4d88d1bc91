"""`USERPORT_CACHE` as an operator sets it."""

import subprocess
from pathlib import Path

import pytest

from tests.cli.commands import PROGRAM, environment, userport
from tests.cli.serving import unpooled
from tests.servers.databases import Databases


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", None),
        ("localhost:6379", "it must start with redis:// or rediss://"),
        ("redis+cluster://user:secret@host", "it must start with redis:// or rediss://"),
        ("redis://", "write redis://user:password@host:port/0; in a name or a password, write %40 for @"),
        ("redis://user:secret@host:99999", "write redis://user:password@host:port/0; in a name or a password, write"),
        ("redis://user:sec/ret@host", "write redis://user:password@host:port/0; in a name or a password, write"),
        ("redis://user:secret@[host", "write redis://user:password@host:port/0; in a name or a password, write"),
        ("redis://user:secret@host/name", "write redis://user:password@host:port/0; in a name or a password, write"),
        ("redis://user:secret@host?service=users", "its only option is ssl_ca, of rediss://"),
        ("redis://user:secret@host?ssl_ca=ca.pem", "its only option is ssl_ca, of rediss://"),
        ("rediss://user:secret@host?ssl_ca=secret.pem", "the file of its option ssl_ca does not exist or cannot be"),
    ],
)
def test_a_wrong_url_is_one_line_that_repeats_nothing_of_it(url: str, message: str | None) -> None:
    ended = userport("storage", "ping", USERPORT_STORAGE="memory://", USERPORT_CACHE=url)
    if message is None:  # as if it were not set
        assert ended.exit_code == 0
        return
    assert ended.exit_code == 2
    (line,) = ended.errors.splitlines()
    assert f"USERPORT_CACHE is wrong: {message}" in line
    assert "secret" not in line
    assert "ret@" not in line


@pytest.mark.slow
def test_a_service_starts_without_its_cache_and_says_so_once(databases: Databases, tmp_path: Path) -> None:
    with databases.unreachable("redis") as url:
        cache = url.replace("userport:secret", "userport:hidden").partition("?")[0]
        command = (
            *PROGRAM,
            "serve",
            "--port",
            "0",
            "--storage",
            f"sqlite:///{tmp_path / 'users.db'}",
            "--workers",
            "2",
        )
        with subprocess.Popen(  # noqa: S603
            command, env=environment(USERPORT_CACHE=cache), stderr=subprocess.PIPE, text=True, cwd=tmp_path
        ) as process:
            assert process.stderr is not None
            try:
                lines = [next(iter(process.stderr)) for _ in range(2)]
                address = lines[-1].split()[-1].removesuffix("/docs")
                user = {"email": "ann@example.org", "name": "Ann"}
                location = unpooled.post(f"{address}/users", json=user, timeout=30).headers["location"]
                assert unpooled.get(f"{address}{location}", timeout=30).status_code == 200
            finally:
                process.terminate()
            rest = process.stderr.read()
    reason = "Redis cannot be reached"
    assert lines[0] == f"The cache is not used ({reason}): reads go to the storage until Redis is back\n"
    assert "open mode" in lines[1]
    assert rest == ""
