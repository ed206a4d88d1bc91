"""`userport mail …`"""

from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from application.languages import Language
from application.mail.errors import MailBlocked, MailDeferred, MailRefused
from application.mail.message import Mail, Template
from domain.errors import InvalidValue
from domain.values import Email
from entrypoints.cli.errors import CommandFailed, ExitCode
from entrypoints.cli.session import run_async

if TYPE_CHECKING:
    from entrypoints.container import Container

app = typer.Typer(help="Test the mail settings.")


@app.command("test")
def send_test(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Where to send it.", show_default=False)],
) -> None:
    """Send one mail with the present settings, and show the mail server's response.

    The settings are USERPORT_MAIL, USERPORT_MAIL_FROM and USERPORT_MAIL_TEMPLATES.
    """
    from entrypoints.container import Container
    from entrypoints.settings import load_settings

    answer = run_async(_send(Container(settings=load_settings()), address))
    typer.echo(f"Sent to {address}: {answer}")


async def _send(container: "Container", address: str) -> str:
    try:
        email = Email.parse(address, container.domain_names().to_ascii)
    except InvalidValue as error:
        raise CommandFailed(f"ADDRESS {error.detail}", ExitCode.WRONG_USAGE) from error
    now = container.clock().now()
    mail = Mail(
        template=Template.TEST,
        to=email.address,
        language=Language.ENGLISH,
        context={"address": email.address, "time": f"{now:%Y-%m-%d %H:%M} UTC"},
        message_id=str(uuid4()),
        date=now,
    )
    sender = container.mail_sender()
    try:
        return await sender.send(mail)
    except (MailBlocked, MailDeferred, MailRefused) as error:
        raise CommandFailed(f"not sent: {error}") from error
    finally:
        await sender.close()
