"""Test mails and their senders."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from application.mail.message import CONTEXT_KEYS, Mail, Template
from application.ports import MailSender
from entrypoints.mail_sender import open_mail_sender
from entrypoints.settings import Settings
from tests.mail.smtp_server import PASSWORD, USER

TOKEN: Final = "N4xq7kW2mB9vT3rYp6sZ1c"
VALUES: Final = {
    "address": "ann@example.com",
    "new_address": "ann@example.org",
    "link": f"https://users.example.com/account/verify-email#token={TOKEN}",
    "time": "2026-11-20 20:36 UTC",
    "place": "192.0.2.1",
}
LOGIN: Final = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@"


def a_mail(template: Template = Template.VERIFY_EMAIL, **changes: Any) -> Mail:
    mail = Mail(
        template=template,
        to="ann@example.com",
        language="en",
        context={key: VALUES[key] for key in CONTEXT_KEYS[template]},
        message_id="01a1fe84-0148-7002-a615-b5885dbe007e",
        date=datetime(2026, 11, 20, 20, 36, tzinfo=UTC),
    )
    return replace(mail, **changes)


def a_sender(mail: str, **settings: Any) -> MailSender:
    return open_mail_sender(Settings(mail=mail, mail_from="Example Users <no-reply@example.com>", **settings))
