"""How sending a mail fails. Both texts are one line for an operator and hold no secret."""


class MailDeferred(Exception):
    """The mail was not accepted now, or the answer was lost: send it again later."""


class MailRefused(Exception):
    """The mail will never be accepted, as an SMTP server's 5xx says: do not send it again."""
