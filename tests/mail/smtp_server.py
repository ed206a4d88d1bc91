"""A real SMTP server in this process that misbehaves on demand."""

import asyncio
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import Enum, auto
from typing import Any, Final, TypeAlias

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER: Final = "postmaster@example.com"
PASSWORD: Final = "p@:/?#% secret"
_FOREVER_SECONDS: Final = 3_600


class Fault(Enum):
    """What a server does instead of responding."""

    STALL = auto()
    DROP = auto()


Reaction: TypeAlias = Fault | str


@dataclass(frozen=True, slots=True)
class Received:
    """A mail that the server has accepted, or after which it dropped the connection."""

    sender: str
    recipients: list[str]
    content: bytes
    options: list[str]
    user: str | None
    encrypted: bool

    @property
    def message(self) -> EmailMessage:
        message = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message


@dataclass
class SmtpServer:
    """What the server has received, and its reactions to the next commands: in order, then the usual ones."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """A client has sent QUIT."""
    _reactions: dict[str, deque[Reaction]] = field(default_factory=lambda: defaultdict(deque))

    def react(self, command: str, *reactions: Reaction) -> None:
        """Set the reactions to the next such commands: MAIL, RCPT, DATA (before the content), DOT (after its end)."""
        self._reactions[command] += reactions

    def behave(self) -> None:
        """Clear all reactions."""
        self._reactions.clear()

    # Hooks that aiosmtpd calls.

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options += options
        return await self.reaction("MAIL", server) or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return await self.reaction("RCPT", server) or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        refusal = None
        if self._reactions["DOT"] and isinstance(self._reactions["DOT"][0], str):
            refusal = await self.reaction("DOT", server)
        else:
            assert envelope.mail_from is not None
            assert isinstance(envelope.content, bytes)
            login: Any = session.auth_data
            received = Received(
                envelope.mail_from,
                envelope.rcpt_tos,
                envelope.content,
                envelope.mail_options,
                None if login is None else login.login.decode(),
                session.ssl is not None,
            )
            self.received.append(received)
            await self.reaction("DOT", server)
        return refusal or f"250 2.0.0 OK: queued as {len(self.received)}"

    def authenticate(self, *arguments: Any) -> AuthResult:
        login = arguments[-1]
        assert isinstance(login, LoginPassword)
        self.logins.append((login.login, login.password))
        return AuthResult(success=login.password == PASSWORD.encode(), handled=False, auth_data=login)

    async def reaction(self, command: str, server: SMTP) -> str | None:
        """React as requested; return a response, or None for the usual one."""
        reaction = self._reactions[command].popleft() if self._reactions[command] else None
        if isinstance(reaction, str) or reaction is None:
            return reaction
        if reaction is Fault.DROP:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        self.stalled.set()
        await asyncio.sleep(_FOREVER_SECONDS)  # cancelled when the connection is gone
        return None


class _Connection(SMTP):
    """Records the commands, and reacts to DATA before the content is sent."""

    event_handler: SmtpServer

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        self.event_handler.commands.append("DATA")
        if answer := await self.event_handler.reaction("DATA", self):
            await self.push(answer)
            if answer.startswith("354"):  # nothing else
                assert isinstance(self.transport, asyncio.Transport)
                self.transport.abort()
            return
        await super().smtp_DATA(arg)

    async def smtp_QUIT(self, arg: str) -> None:  # noqa: N802
        self.event_handler.commands.append("QUIT")
        self.event_handler.left.set()
        await super().smtp_QUIT(arg)

    async def smtp_RSET(self, arg: str) -> None:  # noqa: N802
        self.event_handler.commands.append("RSET")
        await super().smtp_RSET(arg)


@asynccontextmanager
async def serving(
    server: SmtpServer | None = None,
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    utf8: bool = True,
    **options: Any,
) -> AsyncIterator[SmtpServer]:
    """Serve on a free local port: in clear text, with STARTTLS where offered, or with TLS."""
    server = server or SmtpServer()

    def connect() -> SMTP:
        server.connections += 1
        return _Connection(
            server,
            hostname="mail.example.com",
            enable_SMTPUTF8=utf8,
            tls_context=starttls,
            authenticator=server.authenticate,
            loop=asyncio.get_running_loop(),
            **options,
        )

    listener = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
