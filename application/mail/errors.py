"""Errors of sending a mail. Their texts are one line for operators, without secrets."""


class MailDeferred(Exception):
    """The mail was not accepted now, or the response was lost: send it again later."""


class MailBlocked(Exception):
    """No mail is accepted until an operator corrects a setting, such as the password: send it again then."""


class MailRefused(Exception):
    """The mail will never be accepted, as an SMTP server's 5xx says: do not send it again."""
