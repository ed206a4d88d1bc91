"""Stop a server process without losing a request."""

import asyncio
import socket
import sys
from collections.abc import Sequence
from multiprocessing import parent_process
from signal import SIG_DFL, SIGINT, signal
from time import monotonic
from types import FrameType
from typing import Final

from uvicorn import Server
from uvicorn.server import HANDLED_SIGNALS
from uvicorn.supervisors.multiprocess import Process

from entrypoints.http.problems import DRAINING
from entrypoints.http.protocol import ServerConfig

_CLOSE: Final = (b"connection", b"close")


class DrainingServer(Server):
    """Uvicorn's server, except that it drains after SIGTERM or SIGINT, and ends at once after a second one.

    While it drains, it continues to serve, but is not ready, and every response closes its connection. Proxies
    therefore switch to other servers, and when it stops, the remaining connections are unused.
    """

    config: ServerConfig
    _drained_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == SIGINT and parent_process() is not None:
            return  # Ctrl-C reaches the parent as well, which then sends SIGTERM
        super().handle_exit(sig, frame)
        end_at_next_signal()

    async def on_tick(self, counter: int) -> bool:
        if not await super().on_tick(counter):
            return False
        if self._drained_at is None:
            self._drained_at = monotonic() + self.config.drain_seconds
            self.lifespan.state[DRAINING.code] = True  # requests find it in their scope
            self.config.encoded_headers.append(_CLOSE)  # of the header lists that uvicorn builds every second
            self.server_state.default_headers.append(_CLOSE)  # of running requests
        return monotonic() >= self._drained_at

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # The system would reset connections that it has accepted and this process has not.
        while accepted := [one for listener in sockets or () for one in _accept_waiting(listener)]:
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.connect_accepted_socket(self._create_protocol, one) for one in accepted))
        await super().shutdown(sockets)

    def _create_protocol(self) -> asyncio.Protocol:
        # As `Server.startup` does.
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


class WorkerProcess(Process):
    """A process of uvicorn's supervisor, with a server that drains."""

    @property
    def server(self) -> Server:
        if self._server is None:
            self._server = DrainingServer(self.config)
        return self._server


def end_at_next_signal() -> None:
    """Leave SIGTERM and SIGINT to the system, which ends the process at once."""
    for handled in HANDLED_SIGNALS:
        signal(handled, SIG_DFL)


def _accept_waiting(listener: socket.socket) -> Sequence[socket.socket]:
    accepted: list[socket.socket] = []
    try:
        while sys.platform != "win32":  # where uvicorn listens on a copy
            accepted.append(listener.accept()[0])
    except OSError:  # none is left, or no file may be opened
        pass
    return accepted
