"""`userport mail test`, and what `serve` says of the mail settings."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from threading import Thread

import pytest

from tests.cli.commands import userport
from tests.cli.serving import serving
from tests.http.sign_in_helpers import SIGNING_KEY
from tests.mail import smtp_server
from tests.mail.mails import LOGIN
from tests.mail.smtp_server import PASSWORD, SmtpServer


@contextmanager
def mail_server(**options: object) -> Iterator[SmtpServer]:
    """Serve in a thread of its own, because a command blocks this one until it ends."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    context = smtp_server.serving(**options)  # type: ignore[arg-type]
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result()
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_test_mail_is_sent_and_the_answer_shown() -> None:
    with mail_server() as server:
        ended = userport(
            "mail",
            "test",
            "ann@example.com",
            USERPORT_MAIL=f"smtp://127.0.0.1:{server.port}",
            USERPORT_MAIL_FROM="Us <us@example.com>",
        )
    assert (ended.exit_code, ended.errors) == (0, "")
    assert ended.text == "Sent to ann@example.com: 250 2.0.0 OK: queued as 1\n"
    assert server.received[0].message["From"] == "Us <us@example.com>"
    assert server.received[0].message["Subject"] == "Us: test mail"
    assert server.commands[-1] == "QUIT"


def test_a_test_mail_goes_to_a_file_by_default(tmp_path: Path) -> None:
    ended = userport("mail", "test", "ann@müller.example", cwd=tmp_path)
    (file,) = tmp_path.glob("mail/*.eml")
    assert ended.text == f"Sent to ann@müller.example: written to {file.relative_to(tmp_path)}\n"
    assert message_from_bytes(file.read_bytes(), policy=policy.default)["To"] == "ann@xn--mller-kva.example"
    assert [entry.name for entry in tmp_path.iterdir()] == ["mail"]


@pytest.mark.parametrize(
    ("reaction", "message"), [("550 5.1.1 no such user", "550 5.1.1 no such user"), ("451 later", "451 later")]
)
def test_a_mail_that_is_not_accepted_is_reported_in_one_line(reaction: str, message: str) -> None:
    with mail_server() as server:
        server.react("RCPT", reaction)
        ended = userport("mail", "test", "ann@example.com", USERPORT_MAIL=f"smtp://127.0.0.1:{server.port}")
    assert (ended.exit_code, ended.text) == (1, "")
    assert ended.errors == f"userport: not sent: 127.0.0.1: {message}\n"


def test_a_password_that_is_refused_is_not_shown() -> None:
    with mail_server(auth_require_tls=False) as server:
        url = f"smtp://{LOGIN}127.0.0.1:{server.port}".replace("secret", "other")
        ended = userport("--debug", "mail", "test", "ann@example.com", USERPORT_MAIL=url)
    assert ended.exit_code == 1
    assert "it refuses the user or the password (535)" in ended.errors
    for part in (PASSWORD.replace("secret", "other"), "other", url):
        assert part not in ended.errors


@pytest.mark.parametrize(
    "address", ["ann", "ann@", "ann@localhost", "Ann <ann@example.com>", "a@example.com,b@example.com"]
)
def test_an_address_that_is_none_is_wrong_usage(tmp_path: Path, address: str) -> None:
    ended = userport("mail", "test", address, cwd=tmp_path)
    assert (ended.exit_code, ended.errors.count("\n")) == (2, 1)
    assert ended.errors.startswith("userport: ADDRESS must")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("mail", "test", "ann@example.com"), ("serve", "--port", "0")])
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("USERPORT_MAIL", "smtp://user:secret@host:port"),
        ("USERPORT_MAIL_FROM", "secret"),
        ("USERPORT_MAIL_TEMPLATES", "nowhere"),
        ("USERPORT_PUBLIC_URL", "users.example.com"),
        ("USERPORT_PUBLIC_URL", "https://ann:secret@users.example.com"),
        ("USERPORT_PUBLIC_URL", "https://users.example.com/?x=secret"),
        ("USERPORT_PUBLIC_URL", "https://users.example.com:99999"),
        ("USERPORT_PUBLIC_URL", f"https://users.example.com/{'x' * 200}"),
    ],
)
def test_a_wrong_setting_is_reported_before_anything_is_done(
    tmp_path: Path, command: tuple[str, ...], variable: str, value: str
) -> None:
    settings = {"USERPORT_STORAGE": "memory://", "USERPORT_SIGNING_KEY": SIGNING_KEY, variable: value}
    ended = userport(*command, cwd=tmp_path, pipe=b"", **settings)
    assert (ended.exit_code, ended.errors.count("\n")) == (2, 1)
    assert re.match(rf"userport: {variable} is wrong: ", ended.errors)
    assert "secret" not in ended.errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"USERPORT_MAIL": "file:mail"}, "Mails are not sent, but written to the directory mail: see USERPORT_MAIL"),
        ({"USERPORT_MAIL": "smtp://localhost"}, "Links in mails begin with {address}: see USERPORT_PUBLIC_URL"),
    ],
)
def test_a_server_says_what_is_left_to_set(settings: dict[str, str], message: str) -> None:
    with serving("memory://", USERPORT_SIGNING_KEY=SIGNING_KEY, **settings) as (process, address):
        assert process.stderr is not None
        assert process.stderr.readline() == message.format(address=address) + "\n"


@pytest.mark.slow
def test_a_server_whose_mail_is_set_up_says_nothing_more() -> None:
    settings = {"USERPORT_MAIL": "smtp://localhost", "USERPORT_PUBLIC_URL": "https://users.example.com/"}
    with serving("memory://", USERPORT_SIGNING_KEY=SIGNING_KEY, **settings) as (process, _):
        process.terminate()
        assert process.communicate(timeout=30)[1] == ""
