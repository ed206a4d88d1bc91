"""A mail server that keeps what it is sent."""

from collections.abc import Sequence

from application.mail.message import CONTEXT_KEYS, Mail, Template


class Mailbox:
    """Takes every mail, unless it has `failures`, which it raises one after another."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.failures: list[Exception] = []

    async def send(self, mail: Mail) -> str:
        assert set(mail.context) == CONTEXT_KEYS[Template(mail.template)]
        if self.failures:
            raise self.failures.pop(0)
        self.mails.append(mail)
        return "250 kept"

    async def close(self) -> None:
        return

    def take(self, to: str, template: Template | None = None) -> Mail:
        """Take out the first mail to an address, of a template if it is named."""
        mail = next(mail for mail in self.mails if mail.to == to and template in (None, mail.template))
        self.mails.remove(mail)
        return mail

    def to(self, address: str) -> Sequence[str]:
        """Return the templates of the mails to an address, in the order of their arrival."""
        return [mail.template for mail in self.mails if mail.to == address]


def token_of(mail: Mail) -> str:
    """Return the token in the link of a mail."""
    return mail.context["link"].partition("#token=")[2]
