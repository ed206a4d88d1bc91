"""Headers have the right values, and no client can inject another one."""

from email import message_from_bytes, policy
from email.headerregistry import Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.mail.messages import build_message, parse_sender
from adapters.mail.rendering import Rendering
from application.languages import Language
from application.mail.errors import MailRefused
from domain.errors import InvalidValue
from domain.values import Email
from tests.mail.mails import a_mail

SENDER = Address("Example Users", "no-reply", "example.com")
HEADERS = {
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "auto-submitted",
    "content-language",
    "mime-version",
    "content-type",
}


NASTY = [
    "=?utf-8?q?",
    "=?us-ascii?b?",
    "?=",
    "=0D=0A",
    "=0A",
    "Bcc=3A_x",
    "DQpCY2M6IHgK",
    "a",
    ".",
    "ä",
    "'",
    "{",
    "_",
    "=",
]


def sent(rendering: Rendering, sender: Address = SENDER, **changes: Any) -> tuple[bytes, Any]:
    content = build_message(a_mail(**changes), sender, rendering)
    assert content == build_message(a_mail(**changes), sender, rendering)
    return content, message_from_bytes(content, policy=policy.default)


def unix(text: str) -> str:
    return text.replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("userport <no-reply@localhost>", "userport", "no-reply@localhost"),
        ("no-reply@example.com", "", "no-reply@example.com"),
        ("Müller & Söhne <post@example.com>", "Müller & Söhne", "post@example.com"),
        ('"Users, Inc." <post@example.com>', "Users, Inc.", "post@example.com"),
    ],
)
def test_a_sender_is_a_name_and_an_address(text: str, name: str, address: str) -> None:
    sender = parse_sender(text)
    assert (sender.display_name, sender.addr_spec) == (name, address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "unknown@",
        "@example.com",
        "a@example.com, b@example.com",
        "a@example.com\r\nBcc: b@example.com",
        "a <a@exämple.com>",
        "ä@example.com",
        "Group: a@example.com;",
        "a <a@example.com",
        "a b@example.com",
    ],
)
def test_a_sender_is_one_ascii_address(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_sender(text)


def test_ascii_is_sent_as_people_can_read_it() -> None:
    content, _ = sent(Rendering("Hello", "A text\n", "<p>A text</p>\n"))
    assert b"\r\nA text\r\n" in content
    assert b"7bit" in content
    assert content.isascii()


@pytest.mark.parametrize("language", Language)
def test_a_message_names_its_language(language: Language) -> None:
    _, message = sent(Rendering("Hello", "A text\n", "<p>A text</p>\n"), language=language)
    assert message["Content-Language"] == language.value


def test_other_scripts_and_long_lines_are_encoded() -> None:
    rendering = Rendering("Grüße 👋", "Grüße 👋\n", f"<p>{'x' * 2000}</p>\n")
    content, message = sent(rendering)
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert message["Subject"] == rendering.subject
    text, html = message.iter_parts()
    assert unix(text.get_content()) == rendering.text
    assert unix(html.get_content()) == rendering.html


def test_a_line_of_a_single_dot_stays_one() -> None:
    _, message = sent(Rendering("Hello", "one\n.\n..\ntwo\n", "<p>.</p>\n"))
    assert unix(next(message.iter_parts()).get_content()) == "one\n.\n..\ntwo\n"


def headers_of(content: bytes) -> list[str]:
    """Return the names of all headers, as a server sees them."""
    lines = content.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return [line.partition(b":")[0].decode().lower() for line in lines if not line.startswith((b" ", b"\t"))]


@given(
    local=st.text(min_size=1, max_size=64) | st.lists(st.sampled_from(NASTY), min_size=1, max_size=5).map("".join),
    subject=st.text(max_size=200) | st.lists(st.sampled_from(NASTY), max_size=8).map("".join),
    text=st.text(max_size=200),
)
def test_whatever_an_address_or_a_text_is_there_are_no_other_headers_and_parts(
    local: str, subject: str, text: str
) -> None:
    try:
        address = Email.parse(f"{local}@example.com").address
    except InvalidValue:
        address = "ann@example.com"
    subject, text = (part.encode(errors="replace").decode() for part in (subject, text))
    rendering = Rendering(" ".join(subject.split()), f"{text}\n", "<p></p>\n")
    try:
        content, message = sent(rendering, to=address)
    except MailRefused:
        assert "=?" in address
        return
    assert sorted(headers_of(content)) == sorted(HEADERS)
    assert f"\r\nTo: {address}\r\n".encode() in content
    assert len(list(message.iter_parts())) == 2
    assert content.isascii() or not address.isascii()


def test_an_address_that_would_be_decoded_into_a_header_is_refused() -> None:
    address = Email.parse("=?utf-8?q?a=0D=0ABcc=3A_x=40example.com?=@example.com").address
    with pytest.raises(MailRefused, match="encoded text"):
        sent(Rendering("Hello", "A text\n", "<p>A text</p>\n"), to=address)


def test_a_subject_that_would_be_decoded_into_a_header_is_none() -> None:
    content, _ = sent(Rendering("=?utf-8?q?a=0D=0ABcc=3A_x?=", "A text\n", "<p>A text</p>\n"))
    assert b"\nBcc" not in content
