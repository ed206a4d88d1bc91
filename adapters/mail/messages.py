"""Convert mails to bytes.

The standard library's `email` parses and refolds every header of every mail. It therefore encodes only headers that may
need it, once per sender and subject; the others are the same in all mails, or contain nothing to encode.
"""

import re
from binascii import b2a_qp
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final

from adapters.mail.rendering import Rendering
from application.mail.errors import MailRefused
from application.mail.message import Mail

_ENCODED_WORD: Final = "=?"
"""The start of text that `email` decodes anywhere in a header (RFC 2047, section 2)."""

_SENDER_FORM: Final = "write it as Name <user@example.com>"
_PLAIN_ADDRESS: Final = re.compile(r'[^\s"(),:;<>@\[\\\]]+@[A-Za-z0-9.-]+')
"""An address that needs no encoding in a header: a dot-atom (RFC 5322, section 3.2.3) and a domain in ASCII."""

_LINE_END: Final = "\r\n"
_LINE_ENDS: Final = re.compile(r"\r\n|\r|\n")
_MAX_LINE_LENGTH: Final = 990
"""In characters. RFC 5322, section 2.1.1, allows 998."""


def parse_sender(text: str) -> Address:
    """Return the one address of a `From` header. Raises `ValueError`."""
    message = EmailMessage(SMTP)
    try:
        message["From"] = text
        header = message["From"]
        (group,) = header.groups
        (address,) = group.addresses
    except (ValueError, IndexError):  # the standard library raises either
        raise ValueError(_SENDER_FORM) from None
    is_plain = group.display_name is None and not header.defects and text.isprintable()
    if not is_plain or not address.username or not address.domain:
        raise ValueError(_SENDER_FORM)
    if not address.addr_spec.isascii():
        raise ValueError("write its address in ASCII, with an international domain as xn--…")
    return Address(address.display_name, address.username, address.domain)


def build_message(mail: Mail, sender: Address, rendering: Rendering) -> bytes:
    """Return a message with text and HTML alternatives, the same at every delivery. Raises `MailRefused`."""
    if _ENCODED_WORD in mail.to:
        raise MailRefused(f"the address contains {_ENCODED_WORD}, which mail programs take for encoded text")
    if _PLAIN_ADDRESS.fullmatch(mail.to) is None:
        raise MailRefused("the address needs quotes, which no address of an account does")
    boundary = f"=_{sha256(mail.message_id.encode()).hexdigest()[:32]}"
    message = (
        _encoded_header("From", str(sender)),
        _header("To", mail.to),
        _encoded_header("Subject", rendering.subject.replace(_ENCODED_WORD, "= ?")),
        _header("Date", format_datetime(mail.date)),
        _header("Message-ID", f"<{mail.message_id}@{sender.domain}>"),
        _header("Auto-Submitted", "auto-generated"),  # RFC 3834, section 5
        _header("Content-Language", mail.language),
        _header("MIME-Version", "1.0"),
        f'Content-Type: multipart/alternative;{_LINE_END} boundary="{boundary}"{_LINE_END}{_LINE_END}',
        f"--{boundary}{_LINE_END}{_part('plain', rendering.text)}",
        f"{_LINE_END}--{boundary}{_LINE_END}{_part('html', rendering.html)}",
        f"{_LINE_END}--{boundary}--{_LINE_END}",
    )
    return "".join(message).encode()


@lru_cache(256)
def _encoded_header(name: str, value: str) -> str:
    """Return a header in ASCII, as the standard library folds and encodes it, which takes most of the time."""
    folded: str = SMTP.fold(name, SMTP.header_factory(name, value))
    return folded


def _header(name: str, value: str) -> str:
    """Return a header whose value needs no encoding."""
    if not value.isprintable():
        raise ValueError(f"{name} contains a control character")
    return f"{name}: {value}{_LINE_END}"


def _part(subtype: str, text: str) -> str:
    """Return text in a transfer encoding that every server accepts; ASCII stays readable."""
    is_plain = text.isascii() and all(len(line) <= _MAX_LINE_LENGTH for line in text.splitlines())
    content = text if is_plain else b2a_qp(text.encode(), istext=True).decode()
    return (
        f'Content-Type: text/{subtype}; charset="utf-8"{_LINE_END}'
        f"Content-Transfer-Encoding: {'7bit' if is_plain else 'quoted-printable'}{_LINE_END}{_LINE_END}"
        f"{_LINE_ENDS.sub(_LINE_END, content)}"
    )
