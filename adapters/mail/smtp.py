import asyncio
import math
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email.headerregistry import Address
from typing import Final

from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from adapters.mail.destination import SmtpServer
from adapters.mail.messages import build_message
from adapters.mail.rendering import MailRenderer
from adapters.mail.smtp_connection import SmtpConnection
from application.mail.errors import MailBlocked, MailDeferred, MailRefused
from application.mail.message import Mail

_MAX_CONNECTIONS: Final = 4
_SEND_TIMEOUT_SECONDS: Final = 40.0  # less than the timeout of a job
_IDLE_TIMEOUT_SECONDS: Final = 5.0
_LOGIN_PAUSE_SECONDS: Final = 30.0
"""How long sending pauses after a refused login: servers lock out clients that try often."""

_MIN_PERMANENT_CODE: Final = 500  # RFC 5321, section 4.2.1
# RFC 4954, section 6: the server requires another login or encryption, independent of the mail.
_LOGIN_CODES: Final = frozenset({530, 534, 535, 538})
_MAX_ANSWER_LENGTH: Final = 200


class SmtpSender:
    """Sends mails over a small pool of SMTP connections, which are closed once they are idle.

    A mail that makes the server stall delays few others.
    """

    def __init__(self, server: SmtpServer, sender: Address, renderer: MailRenderer) -> None:
        self._server: Final = server
        self._sender: Final = sender
        self._renderer: Final = renderer
        self._room: Final = asyncio.Semaphore(_MAX_CONNECTIONS)
        self._free: Final[list[SmtpConnection]] = []
        """Open connections that no mail uses, the latest used last."""
        self._closing: asyncio.Task[None] | None = None
        self._login_refused_at = -math.inf
        self._login_refusal = ""

    async def send(self, mail: Mail) -> str:
        rendering = self._renderer.render(mail.template, mail.language, mail.context)
        message = build_message(mail, self._sender, rendering)
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_SECONDS), self._connection() as connection:
                code, answer = await connection.deliver(mail.to, message)
        except SMTPAuthenticationError as error:  # its text may repeat what was sent
            self._login_refused_at = asyncio.get_running_loop().time()
            self._login_refusal = f"it refuses the user or the password ({error.code})"
            raise self._blocked(self._login_refusal) from None
        except (SMTPSenderRefused, SMTPRecipientRefused, SMTPDataError) as error:
            reason = f"{self._server.host}: {_format_answer(error.code, error.message, mail)}"
            if error.code in _LOGIN_CODES:
                raise MailBlocked(reason) from None
            raise (MailRefused if error.code >= _MIN_PERMANENT_CODE else MailDeferred)(reason) from None
        except SMTPResponseException as error:  # a response to the connection, not to the mail
            failure = self._blocked if error.code >= _MIN_PERMANENT_CODE else self._deferred
            raise failure(_format_answer(error.code, error.message, mail)) from None
        except (SMTPException, OSError) as error:  # includes TimeoutError
            failure = self._blocked if _is_for_operators(error) else self._deferred
            raise failure(_format_failure(error)) from None
        return _format_answer(code, answer, mail)

    async def close(self) -> None:
        for _ in range(_MAX_CONNECTIONS):  # once no mail is being sent
            await self._room.acquire()
        await asyncio.gather(*(connection.quit() for connection in self._free))
        self._free.clear()
        if self._closing is not None:
            self._closing.cancel()
        for _ in range(_MAX_CONNECTIONS):
            self._room.release()

    def _deferred(self, reason: str) -> MailDeferred:
        return MailDeferred(f"{self._server.host}: {reason}")

    def _blocked(self, reason: str) -> MailBlocked:
        return MailBlocked(f"{self._server.host}: {reason}")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[SmtpConnection]:
        loop = asyncio.get_running_loop()
        async with self._room:
            if loop.time() - self._login_refused_at < _LOGIN_PAUSE_SECONDS:
                raise self._blocked(self._login_refusal)
            connection = self._free.pop() if self._free else SmtpConnection(self._server, self._sender)
            try:
                yield connection
            finally:
                if connection.is_open:
                    self._free.append(connection)
                    if self._closing is None or self._closing.done():
                        self._closing = loop.create_task(self._close_idle())

    async def _close_idle(self) -> None:
        """Close each connection once it is idle, until there is none."""
        loop = asyncio.get_running_loop()
        while self._free:
            idle_at = self._free[0].last_used + _IDLE_TIMEOUT_SECONDS
            if idle_at > loop.time():
                await asyncio.sleep(idle_at - loop.time())
            else:
                await self._free.pop(0).quit()


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
