import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

from hiredis import HiredisError, Reader, ReplyError, pack_command

Command: TypeAlias = tuple[str | bytes | int, ...]
Reply: TypeAlias = bytes | int | list[object] | ReplyError | None
Replies: TypeAlias = Sequence[Reply]

_pack: Final = cast("Callable[[Command], bytes]", pack_command)  # the library declares tuples of one part
_INCOMPLETE: Final = object()
_TICK_SECONDS: Final = 0.05
_MAX_TICKS: Final = 4


@dataclass(slots=True)
class _Batch:
    size: int
    sent_at: int
    """The tick."""

    done: "asyncio.Future[Replies | None]"
    replies: list[Reply] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """A pipelined connection to Redis, shared by concurrent callers. It closes when a reply takes over 0.25 seconds.

    Time is counted in ticks of the event loop, so that a blocked event loop does not make Redis look slow.
    """

    def __init__(self, on_loss: Callable[[], None]) -> None:
        """`on_loss` is called once, before any caller learns of the loss."""
        self._loop: Final = asyncio.get_running_loop()
        self._on_loss: Final = on_loss
        self._reader: Final = Reader(notEnoughData=_INCOMPLETE)
        self._waiting: Final[deque[_Batch]] = deque()
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    def send(self, *commands: Command) -> "asyncio.Future[Replies | None]":
        """Send commands at once; the future receives their replies, or None when the connection is lost."""
        batch = _Batch(len(commands), self._ticks, self._loop.create_future())
        if self._transport is None:
            batch.done.set_result(None)
            return batch.done
        self._waiting.append(batch)
        self._transport.write(b"".join(map(_pack, commands)))
        if self._timer is None:
            self._timer = self._loop.call_later(_TICK_SECONDS, self._tick)
        return batch.done

    def abort(self) -> None:
        """Close the connection at once; calls that wait receive None. Safe to repeat."""
        if self._transport is None:
            return
        self._transport.abort()
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._on_loss()
        for batch in self._waiting:
            _resolve(batch.done, None)
        self._waiting.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not _INCOMPLETE:
                self._add(reply)
        except (HiredisError, IndexError):  # something else than Redis, or more replies than commands
            self.abort()

    def connection_lost(self, _: Exception | None) -> None:
        self.abort()

    def _add(self, reply: Reply) -> None:
        batch = self._waiting[0]
        batch.replies.append(reply)
        if len(batch.replies) == batch.size:
            self._waiting.popleft()
            _resolve(batch.done, batch.replies)

    def _tick(self) -> None:
        self._timer = None
        if not self._waiting:
            return
        self._ticks += 1
        if self._ticks - self._waiting[0].sent_at > _MAX_TICKS:
            self.abort()
        else:
            self._timer = self._loop.call_later(_TICK_SECONDS, self._tick)


def _resolve(future: "asyncio.Future[Replies | None]", replies: Replies | None) -> None:
    if not future.done():  # its caller was cancelled
        future.set_result(replies)
