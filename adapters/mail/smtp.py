import asyncio
import math
import os
import re
import socket
import ssl
from collections.abc import Iterator
from email.headerregistry import Address
from ipaddress import ip_address
from typing import Final

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPStatus,
)

from adapters.mail.destination import Login, Security, SmtpServer
from adapters.mail.messages import build_message
from adapters.mail.rendering import MailRenderer
from application.mail.errors import MailBlocked, MailDeferred, MailRefused
from application.mail.message import Mail

_STEP_TIMEOUT_SECONDS: Final = 20.0
_SEND_TIMEOUT_SECONDS: Final = 40.0  # less than the timeout of a job
_QUIT_TIMEOUT_SECONDS: Final = 2.0
_IDLE_TIMEOUT_SECONDS: Final = 5.0
_LOGIN_PAUSE_SECONDS: Final = 30.0
"""How long no login is tried after one was refused: servers lock out who tries often."""

_START_TLS: Final = {Security.STARTTLS_IF_OFFERED: None, Security.STARTTLS: True, Security.TLS: False}
_MIN_PERMANENT_CODE: Final = 500  # RFC 5321, section 4.2.1
# RFC 4954, section 6: the server requires another login or encryption, independent of the mail.
_LOGIN_CODES: Final = frozenset({530, 534, 535, 538})
_MAX_ANSWER_LENGTH: Final = 200
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


class SmtpSender:
    """Sends mails to an SMTP server, one after another on one connection, which is closed once it is idle.

    Certificates are verified with the system's authorities, or those of the file that `SSL_CERT_FILE` names.
    """

    def __init__(self, server: SmtpServer, sender: Address, renderer: MailRenderer) -> None:
        self._server = server
        self._sender = sender
        self._renderer = renderer
        self._lock = asyncio.Lock()
        self._smtp: SMTP | None = None
        self._last_used = 0.0
        self._login_refused_at = -math.inf
        self._login_refusal = ""
        self._idle: asyncio.Task[None] | None = None

    async def send(self, mail: Mail) -> str:
        rendering = self._renderer.render(mail.template, mail.language, mail.context)
        message = build_message(mail, self._sender, rendering)
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_SECONDS), self._lock:
                code, answer = await self._deliver(mail.to, message)
        except SMTPAuthenticationError as error:  # its text may repeat what was sent
            self._login_refused_at = asyncio.get_running_loop().time()
            self._login_refusal = f"it refuses the user or the password ({error.code})"
            raise self._blocked(self._login_refusal) from None
        except (SMTPSenderRefused, SMTPRecipientRefused, SMTPDataError) as error:
            reason = f"{self._server.host}: {_format_answer(error.code, error.message, mail)}"
            if error.code in _LOGIN_CODES:
                raise MailBlocked(reason) from None
            raise (MailRefused if error.code >= _MIN_PERMANENT_CODE else MailDeferred)(reason) from None
        except SMTPResponseException as error:
            raise self._deferred(_format_answer(error.code, error.message, mail)) from None
        except (SMTPException, OSError) as error:  # includes TimeoutError
            failure = self._blocked if _is_for_operators(error) else self._deferred
            raise failure(_format_failure(error)) from None
        return _format_answer(code, answer, mail)

    async def close(self) -> None:
        async with self._lock:
            await self._quit()
        if self._idle is not None:
            self._idle.cancel()

    def _deferred(self, reason: str) -> MailDeferred:
        return MailDeferred(f"{self._server.host}: {reason}")

    def _blocked(self, reason: str) -> MailBlocked:
        return MailBlocked(f"{self._server.host}: {reason}")

    async def _deliver(self, to: str, message: bytes) -> tuple[int, str]:
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
                self._keep()
            else:
                self._disconnect()
        return response.code, response.message

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
        await smtp.mail(self._sender.addr_spec, options=options)

    async def _connect(self) -> SMTP:
        if asyncio.get_running_loop().time() - self._login_refused_at < _LOGIN_PAUSE_SECONDS:
            raise self._blocked(self._login_refusal)
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
            raise self._blocked("it offers no encryption, and the password is never sent in clear text")
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

    def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        self._last_used = loop.time()
        if self._idle is None or self._idle.done():
            self._idle = loop.create_task(self._quit_when_idle())

    async def _quit_when_idle(self) -> None:
        loop = asyncio.get_running_loop()
        while self._smtp is not None:
            await asyncio.sleep(self._last_used + _IDLE_TIMEOUT_SECONDS - loop.time())
            async with self._lock:
                if loop.time() - self._last_used >= _IDLE_TIMEOUT_SECONDS:
                    await self._quit()

    async def _quit(self) -> None:
        try:
            if self._smtp is not None and self._smtp.is_connected:
                await self._smtp.quit(timeout=_QUIT_TIMEOUT_SECONDS)
        except SMTPException:
            pass  # the server need not respond to QUIT
        finally:
            self._disconnect()

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


def _format_answer(code: int, text: str, mail: Mail) -> str:
    """Return a server's response as one short line, without secrets of the mail that it may repeat."""
    text = "".join(character if character.isprintable() else " " for character in f"{code} {text}")
    for secret in _secrets(mail):
        text = text.replace(secret, "(hidden)")
    return " ".join(text.split())[:_MAX_ANSWER_LENGTH]


def _secrets(mail: Mail) -> Iterator[str]:
    link = mail.context.get("link")
    if link:
        yield link
        yield link.rpartition("token=")[2]


def _is_for_operators(error: SMTPException | OSError) -> bool:
    """Return whether settings do not fit the server: it lacks STARTTLS or AUTH, or its certificate is not valid."""
    return type(error) is SMTPException or isinstance(error.__cause__ or error, ssl.SSLCertVerificationError)


def _format_failure(error: SMTPException | OSError) -> str:
    """Return a short reason for a missing response."""
    if type(error) is SMTPException:  # the library's own text, such as that STARTTLS is not offered
        return error.message
    match (error.__cause__ or error) if isinstance(error, SMTPException) else error:
        case ssl.SSLCertVerificationError() as cause:
            return f"its certificate is not valid: {cause.verify_message}"
        case ssl.SSLError() as cause:
            return f"TLS failed: {cause.reason}"
        case socket.gaierror():
            return "its name cannot be resolved"
        case TimeoutError():
            return "it did not answer in time"
        case OSError(errno=int() as number):
            return os.strerror(number)
    return "the connection was lost"
