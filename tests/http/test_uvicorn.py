"""The internals of uvicorn and httptools that `ProblemProtocol` depends on, which any version may change."""

import asyncio
import hashlib
import inspect
import socket
from threading import Thread

import httptools
import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server

from entrypoints.http.protocol import ConnectionLimits, ServerConfig

DIGEST = "159cde1638152dee2062c70d932bbdfa63945fc88d2a3c9f6437140de8a30236"


class Recorder:
    def __init__(self) -> None:
        self.events: list[str] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.events.append(name.decode())

    def on_headers_complete(self) -> None:
        self.events.append("headers")

    def on_body(self, body: bytes) -> None:
        self.events.append("body")

    def on_message_complete(self) -> None:
        self.events.append("message")


def test_what_is_overridden_is_as_it_was() -> None:
    parts = (HttpToolsProtocol, RequestResponseCycle, FlowControl, Server.shutdown)
    digest = hashlib.sha256("".join(inspect.getsource(part) for part in parts).encode()).hexdigest()
    assert digest == DIGEST, "uvicorn has changed: compare ProblemProtocol with it, then change this digest"


def test_a_parser_still_ends_a_message_with_the_head_of_an_upgrade() -> None:
    recorder = Recorder()
    head = b"POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n"
    with pytest.raises(httptools.HttpParserUpgrade) as raised:
        httptools.HttpRequestParser(recorder).feed_data(head + b"{}")
    assert raised.value.args == (len(head),)
    assert recorder.events == ["Connection", "Upgrade", "Content-Length", "headers", "message"]


def test_a_parser_still_takes_trailers_for_headers() -> None:
    recorder = Recorder()
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    httptools.HttpRequestParser(recorder).feed_data(head + b"2\r\n{}\r\n0\r\nTrailer: x\r\n\r\n")
    assert recorder.events == ["Transfer-Encoding", "headers", "body", "Trailer", "message"]


def test_the_head_of_a_response_does_not_wait_for_a_body_that_comes_later() -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    may_end = asyncio.Event()

    async def app(_: Scope, __: Receive, send: Send) -> None:
        loops.append(asyncio.get_running_loop())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
        await may_end.wait()
        await send({"type": "http.response.body", "body": b"end"})

    limits = ConnectionLimits(10, head_timeout=10, body_timeout=10, write_timeout=10, keep_alive_timeout=10)
    server = Server(ServerConfig(app, limits, lifespan="off", log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=server.run, args=([listener],))
        thread.start()
        with socket.create_connection(listener.getsockname(), timeout=10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(1_000).endswith(b"content-length: 3\r\n\r\n")
            loops[0].call_soon_threadsafe(may_end.set)
            assert client.recv(1_000) == b"end"
        server.should_exit = True
        thread.join()
