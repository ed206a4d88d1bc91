"""Convert mails to messages of the standard library's `email`, which encodes non-ASCII headers."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from typing import Final

from adapters.mail.rendering import Rendering
from application.mail.errors import MailRefused
from application.mail.message import Mail

_ENCODED_WORD: Final = "=?"
"""The start of text that `email` decodes anywhere in a header (RFC 2047, section 2)."""

_SENDER_FORM: Final = "write it as Name <user@example.com>"
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


def build_message(mail: Mail, sender: Address, rendering: Rendering) -> EmailMessage:
    """Return a message of two alternatives, text and HTML. Raises `MailRefused`."""
    if _ENCODED_WORD in mail.to:
        raise MailRefused(f"the address contains {_ENCODED_WORD}, which mail programs take for encoded text")
    local_part, _, domain = mail.to.rpartition("@")
    recipient = Address(username=local_part, domain=domain)
    message = EmailMessage(SMTP if mail.to.isascii() else SMTPUTF8)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = rendering.subject.replace(_ENCODED_WORD, "= ?")
    message["Date"] = format_datetime(mail.date)
    message["Message-ID"] = f"<{mail.message_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834, section 5
    message.set_content(rendering.text, cte=_encoding(rendering.text))
    message.add_alternative(rendering.html, subtype="html", cte=_encoding(rendering.html))
    message["Content-Language"] = mail.language  # set first: `add_alternative` moves such headers to the first part
    return message


def _encoding(text: str) -> str:
    """Return the transfer encoding: ASCII stays readable, and every server accepts the other one."""
    is_plain = text.isascii() and all(len(line) <= _MAX_LINE_LENGTH for line in text.splitlines())
    return "7bit" if is_plain else "quoted-printable"
