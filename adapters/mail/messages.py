"""Convert mails to bytes by the standard library's `email`, which encodes non-ASCII headers."""

from binascii import b2a_qp
from email.headerregistry import Address
from email.message import EmailMessage, Message
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from hashlib import sha256
from typing import Final

from adapters.mail.rendering import Rendering
from application.mail.errors import MailRefused
from application.mail.message import Mail

_ENCODED_WORD: Final = "=?"
"""The start of text that `email` decodes anywhere in a header (RFC 2047, section 2)."""

_SENDER_FORM: Final = "write it as Name <user@example.com>"
_CONTENT_TYPES: Final = {
    subtype: SMTP.header_factory("Content-Type", f'text/{subtype}; charset="utf-8"') for subtype in ("plain", "html")
}
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
    """Return a message of two alternatives, text and HTML, the same at every delivery. Raises `MailRefused`."""
    if _ENCODED_WORD in mail.to:
        raise MailRefused(f"the address contains {_ENCODED_WORD}, which mail programs take for encoded text")
    policy = SMTP if mail.to.isascii() else SMTPUTF8
    local_part, _, domain = mail.to.rpartition("@")
    boundary = f"=_{sha256(mail.message_id.encode()).hexdigest()[:32]}"
    # An `EmailMessage` would parse every header, some of them several times, which takes most of the time.
    message = Message()
    message["From"] = policy.header_factory("From", sender)
    message["To"] = policy.header_factory("To", Address(username=local_part, domain=domain))
    message["Subject"] = policy.header_factory("Subject", rendering.subject.replace(_ENCODED_WORD, "= ?"))
    message["Date"] = format_datetime(mail.date)
    message["Message-ID"] = f"<{mail.message_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834, section 5
    message["Content-Language"] = str(mail.language)
    message["MIME-Version"] = "1.0"
    message["Content-Type"] = policy.header_factory("Content-Type", f'multipart/alternative; boundary="{boundary}"')
    message.set_payload([_part("plain", rendering.text), _part("html", rendering.html)])
    return message.as_bytes(policy=policy)


def _part(subtype: str, text: str) -> Message:
    """Return text in a transfer encoding that every server accepts; ASCII stays readable."""
    is_plain = text.isascii() and all(len(line) <= _MAX_LINE_LENGTH for line in text.splitlines())
    part = Message()
    part["Content-Type"] = _CONTENT_TYPES[subtype]
    part["Content-Transfer-Encoding"] = "7bit" if is_plain else "quoted-printable"
    part.set_payload(text if is_plain else b2a_qp(text.encode(), istext=True).decode())
    return part
