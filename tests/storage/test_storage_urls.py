from pathlib import Path

import pytest

from adapters.storage_urls import Address, ServerAddress, parse_file_url, parse_hosts, parse_server_url


def test_a_file_is_relative_to_the_working_directory_unless_it_is_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_file_url("toy:///my%20users.db") == tmp_path / "my users.db"
    assert parse_file_url("toy:////var/lib/users%3F.db") == Path("/var/lib/users?.db")


def test_the_parts_of_a_server_url_are_decoded() -> None:
    address = parse_server_url("toy+tls://user:p%40ss%2Fword@[::1]:1234/my%20users", 5432)
    assert address == ServerAddress("::1", 1234, "user", "p@ss/word", "my users")


def test_a_server_url_needs_no_host_port_or_password() -> None:
    assert parse_server_url("toy://user@/users", 5432) == ServerAddress("localhost", 5432, "user", "", "users")


def test_a_single_host_needs_no_port_and_several_do() -> None:
    assert parse_hosts("[::1]", 5432, "host:5432") == [Address("::1", 5432)]
    assert parse_hosts("one:1,[::1]:2", 5432, "host:5432") == [Address("one", 1), Address("::1", 2)]
    for text in ("one,two", "one:1,two", "[::1],one:1"):
        with pytest.raises(ValueError, match=r"^each of several hosts needs a port: write host:5432$"):
            parse_hosts(text, 5432, "host:5432")


@pytest.mark.parametrize("text", ["", "one:1,", "one:0", "one:1,two:70000", "one:port", "::1", "a b", "[one]:1"])
def test_a_wrong_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^it does not name a host and port: write host:5432$"):
        parse_hosts(text, 5432, "host:5432")


@pytest.mark.parametrize(
    "text",
    [
        "one:1,one:1",
        "one:1,One:01",
        "127.0.0.1:1,[127.0.0.1]:1",
        "[::1]:1,[0:0:0:0:0:0:0:1]:1",
        "[FE80::A]:1,two:1,[fe80::000a]:1",
    ],
)
def test_a_repeated_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^it repeats a host$"):
        parse_hosts(text, 5432, "host:5432")


def test_one_host_may_have_several_ports() -> None:
    assert parse_hosts("One:1,one:2", 5432, "host:5432") == [Address("One", 1), Address("one", 2)]


@pytest.mark.parametrize(
    "url",
    ["toy:", "toy://", "toy:///", "toy://secret@host/users.db", "toy:///users.db?secret=1", "toy:///users.db#secret"],
)
def test_a_wrong_file_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^write toy:///file\.db, ") as refused:
        parse_file_url(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "toy://",
        "toy://host/secret",
        "toy://user:secret@host",
        "toy://user:secret@host/",
        "toy://user:secret@host:port/users",
        "toy://user:secret@[host/users",
        "toy://user:secret@host/users?secret=1",
        "toy://user:secret@host/users#secret",
    ],
)
def test_a_wrong_server_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(write toy://user:password@|its host or port is wrong$)") as refused:
        parse_server_url(url, 5432)
    assert "secret" not in str(refused.value)
