import asyncio
import re
import socket
from email.headerregistry import Address
from ipaddress import ip_address
from typing import Final

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPStatus,
)

from adapters.mail.destination import Login, Security, SmtpServer
from application.mail.errors import MailBlocked, MailRefused

_STEP_TIMEOUT_SECONDS: Final = 20.0
_QUIT_TIMEOUT_SECONDS: Final = 2.0

_START_TLS: Final = {Security.STARTTLS_IF_OFFERED: None, Security.STARTTLS: True, Security.TLS: False}
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


class SmtpConnection:
    """A connection to an SMTP server, opened for the first mail and reopened if the server has closed it.

    Certificates are verified with the system's authorities, or those of the file that `SSL_CERT_FILE` names.
    """

    def __init__(self, server: SmtpServer, sender: Address) -> None:
        self._server: Final = server
        self._sender: Final = sender.addr_spec
        self._smtp: SMTP | None = None
        self.last_used = 0.0

    @property
    def is_open(self) -> bool:
        return self._smtp is not None and self._smtp.is_connected

    async def deliver(self, to: str, message: bytes) -> tuple[int, str]:
        """Deliver a message; return the server's answer. After an error, the connection is usable or closed.

        Raises `SMTPException`, `OSError`, `MailBlocked` or `MailRefused`.
        """
        is_usable = False
        try:
            smtp = await self._begin(to)
            await _send_recipient(smtp, to)
            response = await smtp.data(message)
            is_usable = True
        except SMTPResponseException:
            is_usable = await self._reset()
            raise
        finally:
            if is_usable:
                self.last_used = asyncio.get_running_loop().time()
            else:
                self._disconnect()
        return response.code, response.message

    async def quit(self) -> None:
        try:
            if self._smtp is not None and self._smtp.is_connected:
                await self._smtp.quit(timeout=_QUIT_TIMEOUT_SECONDS)
        except SMTPException:
            pass  # the server need not respond to QUIT
        finally:
            self._disconnect()

    async def _begin(self, to: str) -> SMTP:
        """Send MAIL FROM, on a new connection if the server has closed the existing one; return the connection."""
        smtp = self._smtp
        if smtp is not None and smtp.is_connected:
            try:
                await self._send_mail_from(smtp, to)
            except (SMTPServerDisconnected, SMTPSenderRefused):  # a 421 also closes the connection
                if smtp.is_connected:
                    raise
            else:
                return smtp
        self._smtp = smtp = await self._connect()
        await self._send_mail_from(smtp, to)
        return smtp

    async def _send_mail_from(self, smtp: SMTP, to: str) -> None:
        options = []
        if not to.isascii():
            if smtp.last_ehlo_response is None:
                await smtp.ehlo()
            if not smtp.supports_extension("smtputf8"):
                raise MailRefused(f"{self._server.host}: it takes no address with non-ASCII characters (SMTPUTF8)")
            options = ["SMTPUTF8", "BODY=8BITMIME"]
        if smtp.is_ehlo_or_helo_needed:
            await smtp.mail(self._sender, options=options)
            return
        # The library's own method parses the address for each mail.
        command = " ".join([f"FROM:<{self._sender}>", *options])
        response = await smtp.execute_command(b"MAIL", command.encode())
        if response.code != SMTPStatus.completed:
            raise SMTPSenderRefused(response.code, response.message, self._sender)

    async def _connect(self) -> SMTP:
        smtp = SMTP(
            hostname=self._server.host,
            port=self._server.port,
            local_hostname=_own_name(),
            timeout=_STEP_TIMEOUT_SECONDS,
            use_tls=self._server.security is Security.TLS,
            start_tls=_START_TLS[self._server.security],
        )
        try:
            await smtp.connect()
            if self._server.login is not None:
                await self._log_in(smtp, self._server.login)
        except BaseException:
            smtp.close()
            raise
        return smtp

    async def _log_in(self, smtp: SMTP, login: Login) -> None:
        peer = smtp.get_transport_info("peername")[0]
        if smtp.get_transport_info("sslcontext") is None and not _is_this_machine(peer):
            reason = "it offers no encryption, and the password is never sent in clear text"
            raise MailBlocked(f"{self._server.host}: {reason}")
        await smtp.login(login.user, login.password)

    async def _reset(self) -> bool:
        """Return whether the connection can be used for another mail after an error."""
        if self._smtp is None or not self._smtp.is_connected:
            return False
        try:
            await self._smtp.rset()
        except SMTPException:
            return False
        return True

    def _disconnect(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None


async def _send_recipient(smtp: SMTP, to: str) -> None:
    """Send RCPT TO. The library's own method parses the address, which `build_message` has checked."""
    response = await smtp.execute_command(b"RCPT", f"TO:<{to}>".encode())
    if response.code not in {SMTPStatus.completed, SMTPStatus.will_forward}:
        raise SMTPRecipientRefused(response.code, response.message, to)


def _is_this_machine(peer: str) -> bool:
    return ip_address(peer).is_loopback


def _own_name() -> str:
    """Return the name for EHLO: that of this machine, or an address literal (RFC 5321, section 4.1.4)."""
    name = socket.gethostname()
    return name if _HOST_NAME.fullmatch(name) else "[127.0.0.1]"
