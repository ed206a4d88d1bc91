"""A mail destination is one URL."""

import pytest

from adapters.mail.destination import Destination, Login, Security, SmtpServer, parse_destination
from entrypoints.environment import SettingsError
from tests.mail.mails import a_sender


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://localhost", SmtpServer(Security.STARTTLS_IF_OFFERED, "localhost", 25)),
        ("smtp://[::1]:1025/", SmtpServer(Security.STARTTLS_IF_OFFERED, "::1", 1025)),
        ("smtp+starttls://mail.example.com", SmtpServer(Security.STARTTLS, "mail.example.com", 587)),
        ("smtps://mail.example.com", SmtpServer(Security.TLS, "mail.example.com", 465)),
        (
            "smtps://ann%40example.com:p%40%3A%2F@mail.example.com:2465",
            SmtpServer(Security.TLS, "mail.example.com", 2465, Login("ann@example.com", "p@:/")),
        ),
    ],
)
def test_a_url_names_the_server_the_port_and_the_login(url: str, server: Destination) -> None:
    assert parse_destination(url) == server
    assert "p@:/" not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://mail.example.com",
        "smtp:mail.example.com",
        "smtp://",
        "smtp://:25",
        "smtp://mail.example.com:0",
        "smtp://mail.example.com:65536",
        "smtp://mail.example.com:smtp",
        "smtp://user@mail.example.com",
        "smtp://user:@mail.example.com",
        "smtp://:secret@mail.example.com",
        "smtp://user:secret/x@mail.example.com",
        "smtp://user:secret?@mail.example.com",
        "smtp://user:secret#@mail.example.com",
        "smtp://user:secret@mail.example.com/inbox",
        "smtp://user:secret@[::1",
        "smtp://user:secret@mail example.com",
        "file:",
        "file://var/mail",
    ],
)
def test_a_wrong_url_is_reported_in_one_line_without_a_secret(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^USERPORT_MAIL is wrong: [^\n]+$") as refused:
        a_sender(url)
    assert "secret" not in str(refused.value)
