"""Mails reach a real SMTP server, or an error says whether to send them again."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.utils import parsedate_to_datetime

import pytest

from application.mail.errors import MailBlocked, MailDeferred, MailRefused
from application.ports import MailSender
from tests.mail.mails import LOGIN, TOKEN, VALUES, a_mail, a_sender
from tests.mail.smtp_server import PASSWORD, USER, Fault, SmtpServer, serving


@asynccontextmanager
async def sending(url: str) -> AsyncIterator[MailSender]:
    sender = a_sender(url)
    try:
        yield sender
    finally:
        await sender.close()


@pytest.fixture
async def server() -> AsyncIterator[SmtpServer]:
    async with serving() as server:
        yield server


@pytest.fixture
async def sender(server: SmtpServer) -> AsyncIterator[MailSender]:
    async with sending(f"smtp://127.0.0.1:{server.port}") as sender:
        yield sender


@pytest.fixture
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the timeouts for a server that does not respond."""
    monkeypatch.setattr("adapters.mail.smtp_connection._STEP_TIMEOUT_SECONDS", 0.2)


async def test_a_mail_arrives_as_it_was_meant(server: SmtpServer, sender: MailSender) -> None:
    mail = a_mail()
    assert await sender.send(mail) == "250 2.0.0 OK: queued as 1"
    (received,) = server.received
    assert (received.sender, received.recipients) == ("no-reply@example.com", ["ann@example.com"])
    message = received.message
    assert message["From"] == "Example Users <no-reply@example.com>"
    assert message["To"] == "ann@example.com"
    assert message["Message-ID"] == f"<{mail.message_id}@example.com>"
    assert parsedate_to_datetime(message["Date"]) == mail.date
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "en"
    text, html = message.iter_parts()
    assert VALUES["link"] in text.get_content().splitlines()
    assert f'href="{VALUES["link"]}"' in html.get_content()


async def test_a_burst_of_mails_shares_few_connections(server: SmtpServer, sender: MailSender) -> None:
    mails = [a_mail(to=f"user{number}@example.com", message_id=str(number)) for number in range(20)]
    await asyncio.gather(*map(sender.send, mails))
    assert server.connections == 4
    assert sorted(received.recipients[0] for received in server.received) == sorted(mail.to for mail in mails)


async def test_mails_one_after_another_share_one_connection(server: SmtpServer, sender: MailSender) -> None:
    for _ in range(5):
        await sender.send(a_mail())
    assert server.connections == 1


async def test_a_mail_at_which_the_server_stalls_holds_up_no_other(server: SmtpServer, sender: MailSender) -> None:
    server.react("DOT", Fault.STALL)
    stalled = asyncio.create_task(sender.send(a_mail()))
    await server.stalled.wait()
    await asyncio.gather(*(sender.send(a_mail(to=f"user{number}@example.com")) for number in range(20)))
    assert len(server.received) == 21
    assert not stalled.done()
    stalled.cancel()


async def test_all_connections_are_closed_at_the_end(server: SmtpServer, sender: MailSender) -> None:
    await asyncio.gather(*(sender.send(a_mail()) for _ in range(8)))
    await sender.close()
    assert server.commands.count("QUIT") == 4
    await sender.send(a_mail())


async def test_a_connection_that_the_server_has_closed_is_replaced(server: SmtpServer, sender: MailSender) -> None:
    await sender.send(a_mail())
    for reaction in (Fault.DROP, "421 4.7.0 too many mails"):
        server.react("MAIL", reaction)
        await sender.send(a_mail())
    assert len(server.received) == 3
    assert server.connections == 3


async def test_an_idle_connection_is_closed_politely(
    server: SmtpServer, sender: MailSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.mail.smtp._IDLE_TIMEOUT_SECONDS", 0.05)
    await sender.send(a_mail())
    await server.left.wait()
    await sender.send(a_mail())
    assert server.connections == 2


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "DOT"])
async def test_4xx_is_for_now_and_5xx_for_good(server: SmtpServer, sender: MailSender, command: str) -> None:
    server.react(command, "451 4.3.0 try again later", "554 5.7.1 no thanks")
    with pytest.raises(MailDeferred, match=r"^127\.0\.0\.1: 451 4\.3\.0 try again later$"):
        await sender.send(a_mail())
    with pytest.raises(MailRefused, match=r"^127\.0\.0\.1: 554 5\.7\.1 no thanks$"):
        await sender.send(a_mail())
    await sender.send(a_mail())
    assert len(server.received) == 1
    assert server.connections == 1


@pytest.mark.parametrize("code", ["530 5.7.0", "535 5.7.8"])
async def test_a_mail_is_not_failed_because_the_settings_lack_a_login(
    server: SmtpServer, sender: MailSender, code: str
) -> None:
    server.react("MAIL", f"{code} Authentication required")
    with pytest.raises(MailBlocked, match="Authentication required"):
        await sender.send(a_mail())


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize("fault", Fault)
@pytest.mark.usefixtures("short_delays")
async def test_a_server_that_stalls_or_drops_gets_the_same_mail_again(
    server: SmtpServer, sender: MailSender, command: str, fault: Fault
) -> None:
    server.react(command, fault)
    with pytest.raises(MailDeferred, match=r"did not answer in time|connection was lost|reset by peer"):
        await sender.send(a_mail())
    await sender.send(a_mail())
    copies = 2 if command == "DOT" else 1
    assert [received.message["Message-ID"] for received in server.received] == [
        "<01a1fe84-0148-7002-a615-b5885dbe007e@example.com>"
    ] * copies


@pytest.mark.usefixtures("short_delays")
async def test_a_connection_that_is_dropped_before_the_content_is_through_sends_nothing(
    server: SmtpServer, sender: MailSender
) -> None:
    server.react("DATA", "354 go ahead")
    with pytest.raises(MailDeferred):
        await sender.send(a_mail())
    assert server.received == []


async def test_mails_that_wait_for_a_slow_server_are_deferred_in_time(
    server: SmtpServer, sender: MailSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.react("RCPT", Fault.STALL, Fault.STALL, Fault.STALL)
    with monkeypatch.context() as patch:
        patch.setattr("adapters.mail.smtp._SEND_TIMEOUT_SECONDS", 0.3)
        patch.setattr(
            "adapters.mail.smtp_connection._STEP_TIMEOUT_SECONDS", 1.0
        )  # Python 3.11's `wait_for` may lose the other one
        results = await asyncio.gather(*(sender.send(a_mail()) for _ in range(3)), return_exceptions=True)
    assert {str(result) for result in results} == {"127.0.0.1: it did not answer in time"}
    server.behave()
    await asyncio.gather(*(sender.send(a_mail()) for _ in range(3)))


async def test_a_cancelled_mail_leaves_no_half_of_it_to_the_next(server: SmtpServer, sender: MailSender) -> None:
    server.react("DATA", Fault.STALL)
    task = asyncio.create_task(sender.send(a_mail(to="bob@example.com")))
    await server.stalled.wait()
    task.cancel()
    await asyncio.wait([task])
    await sender.send(a_mail())
    assert [received.recipients for received in server.received] == [["ann@example.com"]]


@pytest.mark.parametrize("greeting", [b"554 no service\r\n", b"421 busy\r\n", b"HTTP/1.1 400 what\r\n\r\n", b""])
async def test_a_server_that_greets_otherwise_is_asked_again(greeting: bytes) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with listener, sending(f"smtp://127.0.0.1:{listener.sockets[0].getsockname()[1]}") as sender:
        failure = MailBlocked if greeting.startswith(b"554") else MailDeferred
        with pytest.raises(failure, match=r"^127\.0\.0\.1: [^\n]+$"):
            await sender.send(a_mail())


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.usefixtures("short_delays")
async def test_a_server_that_never_greets_is_given_up(scheme: str) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    listener = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with listener, sending(f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}") as sender:
        with pytest.raises(MailDeferred, match="did not answer in time"):
            await sender.send(a_mail())


@pytest.mark.parametrize(
    ("host", "reason"), [("127.0.0.1:1", "Connection refused"), ("host.invalid", "its name cannot be resolved")]
)
async def test_an_unreachable_server_is_reported_in_few_words(host: str, reason: str) -> None:
    async with sending(f"smtp://{host}") as sender:
        with pytest.raises(MailDeferred, match=f": {reason}$"):
            await sender.send(a_mail())


@pytest.mark.usefixtures("trusted")
async def test_starttls_is_used_where_it_is_offered(tls: ssl.SSLContext) -> None:
    for scheme in ("smtp", "smtp+starttls"):
        async with serving(starttls=tls) as server, sending(f"{scheme}://127.0.0.1:{server.port}") as sender:
            await sender.send(a_mail())
            assert server.received[0].encrypted


@pytest.mark.usefixtures("trusted")
async def test_smtps_is_encrypted_from_the_start(tls: ssl.SSLContext) -> None:
    async with serving(tls=tls) as server, sending(f"smtps://127.0.0.1:{server.port}") as sender:
        await sender.send(a_mail())
        await sender.send(a_mail())
    assert len(server.received) == 2
    assert server.connections == 1


@pytest.mark.parametrize("scheme", ["smtp", "smtp+starttls", "smtps"])
async def test_no_mail_goes_to_a_server_whose_certificate_is_not_trusted(tls: ssl.SSLContext, scheme: str) -> None:
    server_of = serving(tls=tls) if scheme == "smtps" else serving(starttls=tls)
    async with server_of as server, sending(f"{scheme}://127.0.0.1:{server.port}") as sender:
        with pytest.raises(MailBlocked, match="its certificate is not valid: self-signed certificate"):
            await sender.send(a_mail())
    assert server.received == []


@pytest.mark.usefixtures("trusted")
async def test_no_mail_goes_to_a_server_of_another_name(tls: ssl.SSLContext) -> None:
    async with serving(starttls=tls) as server, sending(f"smtp://localhost:{server.port}") as sender:
        with pytest.raises(MailBlocked, match="its certificate is not valid: Hostname mismatch"):
            await sender.send(a_mail())
    assert server.received == []


async def test_no_mail_goes_in_clear_text_where_encryption_is_required(server: SmtpServer) -> None:
    async with sending(f"smtp+starttls://127.0.0.1:{server.port}") as sender:
        with pytest.raises(MailBlocked, match="STARTTLS"):
            await sender.send(a_mail())
    assert server.received == []


async def test_an_offer_of_starttls_that_fails_is_no_way_back_to_clear_text(tls: ssl.SSLContext) -> None:
    received = b""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        for text in (b"220 hello", b"250-hello\r\n250 STARTTLS", b"454 4.7.0 TLS is not available"):
            writer.write(text + b"\r\n")
            received += await reader.readline()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listener, sending(f"smtp://127.0.0.1:{listener.sockets[0].getsockname()[1]}") as sender:
        with pytest.raises(MailDeferred, match="454"):
            await sender.send(a_mail())
    assert b"STARTTLS" in received
    assert b"MAIL" not in received


@pytest.mark.usefixtures("trusted")
async def test_a_user_signs_in_over_tls(tls: ssl.SSLContext) -> None:
    async with serving(starttls=tls) as server, sending(f"smtp://{LOGIN}127.0.0.1:{server.port}") as sender:
        await sender.send(a_mail())
    assert server.received[0].user == USER
    assert server.logins[0] == (USER.encode(), PASSWORD.encode())


async def test_a_user_signs_in_without_tls_on_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(auth_require_tls=False) as server:
        async with sending(f"smtp://{LOGIN}127.0.0.1:{server.port}") as sender:
            await sender.send(a_mail())
        assert server.received[0].user == USER
        # Without a server elsewhere, this machine is treated as another one.
        monkeypatch.setattr("adapters.mail.smtp_connection._is_this_machine", lambda _: False)
        async with sending(f"smtp://{LOGIN}127.0.0.1:{server.port}") as sender:
            with pytest.raises(MailBlocked, match="the password is never sent in clear text"):
                await sender.send(a_mail())
        assert len(server.logins) == 1


async def test_a_refused_password_blocks_mail_without_a_login_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(auth_require_tls=False) as server:
        async with sending(f"smtp://{USER.replace('@', '%40')}:wrong@127.0.0.1:{server.port}") as sender:
            logins = []
            for _ in range(5):
                with pytest.raises(MailBlocked, match=r"^127\.0\.0\.1: it refuses the user or the password \(535\)$"):
                    await sender.send(a_mail())
                logins.append(len(server.logins))
            assert len(set(logins)) == 1  # servers lock out clients that try often
            monkeypatch.setattr("adapters.mail.smtp._LOGIN_PAUSE_SECONDS", 0.0)
            with pytest.raises(MailBlocked):
                await sender.send(a_mail())
            assert len(server.logins) > logins[-1]
        assert server.received == []


async def test_an_address_in_any_script_is_sent_by_smtputf8(server: SmtpServer, sender: MailSender) -> None:
    await sender.send(a_mail(to="änne@example.com"))
    assert server.received[0].recipients == ["änne@example.com"]
    assert server.received[0].message["To"] == "änne@example.com"
    assert "SMTPUTF8" in server.received[0].options


async def test_an_address_in_any_script_is_refused_by_a_server_without_smtputf8() -> None:
    async with serving(utf8=False) as server, sending(f"smtp://127.0.0.1:{server.port}") as sender:
        with pytest.raises(MailRefused, match="SMTPUTF8"):
            await sender.send(a_mail(to="änne@example.com"))
        await sender.send(a_mail())
    assert len(server.received) == 1


async def test_an_answer_is_one_line_without_the_link_that_it_repeats(server: SmtpServer, sender: MailSender) -> None:
    server.react("DOT", f"554-blocked: {VALUES['link']}\r\n554 because of {TOKEN}\x07 {'x' * 1000}")
    with pytest.raises(MailRefused) as refused:
        await sender.send(a_mail())
    assert str(refused.value).startswith("127.0.0.1: 554 blocked: (hidden) because of (hidden) xxx")
    assert TOKEN not in str(refused.value)
    assert len(str(refused.value)) < 250
    assert str(refused.value).isprintable()
