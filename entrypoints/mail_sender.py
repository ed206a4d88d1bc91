"""Open the configured mail sender. Its libraries are imported on demand."""

from pathlib import Path

from application.ports import MailSender
from entrypoints.environment import PREFIX, SettingsError
from entrypoints.settings import Settings

_DIRECTORY_PREFIX = "file:"


def mail_directory(settings: Settings) -> str | None:
    """Return the directory that mails are written to, or None if they are sent."""
    return settings.mail.removeprefix(_DIRECTORY_PREFIX) if settings.mail.startswith(_DIRECTORY_PREFIX) else None


def open_mail_sender(settings: Settings) -> MailSender:
    """Return the sender, without connecting. Raise `SettingsError`, which repeats no part of the URL."""
    from adapters.mail.destination import parse_destination
    from adapters.mail.directory import DirectorySender
    from adapters.mail.messages import parse_sender
    from adapters.mail.rendering import InvalidTemplate, MailRenderer
    from adapters.mail.smtp import SmtpSender

    try:
        sender = parse_sender(settings.mail_from)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}MAIL_FROM is wrong: {error}") from error
    try:
        renderer = MailRenderer(settings.service_name, settings.mail_templates)
    except InvalidTemplate as error:
        raise SettingsError(f"{PREFIX}MAIL_TEMPLATES is wrong: {error}") from error
    try:
        destination = parse_destination(settings.mail)
        if isinstance(destination, Path):
            return DirectorySender(destination, sender, renderer)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}MAIL is wrong: {error}") from error
    return SmtpSender(destination, sender, renderer)
