import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, RedisError

from adapters.redis.config import Address, RedisConfig

_ANSWER_SECONDS: Final = 2

AskForSlots: TypeAlias = Callable[[Address], Awaitable[Any]]


class Nodes:
    """Finds the node that may write the service's keys: the only one, or in a cluster the master of their slot."""

    def __init__(self, config: RedisConfig, ask_for_slots: AskForSlots) -> None:
        self._config = config
        self._ask_for_slots = ask_for_slots
        self._known = list(config.addresses)
        self._master = None if config.is_cluster else config.addresses[0]
        self._looking = asyncio.Lock()

    async def master(self) -> Address:
        async with self._looking:
            if self._master is None:
                self._master = await self._look()
            return self._master

    def follow(self, redirection: AskError, asked: Address) -> Address | None:
        """Process a redirection. Return the other node if only the next command goes there (ASK); None after MOVED."""
        if not self._config.is_cluster:
            raise redirection
        other = Address(redirection.host or asked.host, redirection.port)
        if not isinstance(redirection, MovedError):
            return other
        self._master = other
        return None

    def lost(self, address: Address) -> None:
        """Process a failure of a node, which may no longer be the master."""
        if self._config.is_cluster and self._master == address:
            self._master = None

    async def _look(self) -> Address:
        slot = key_slot(self._config.key("").encode())
        failure: RedisError | OSError = ClusterDownError("no node has the slot")
        for node in self._known.copy():
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    ranges = await self._ask_for_slots(node)
            except (RedisError, OSError) as error:
                failure = error
                self._known.remove(node)
                self._known.append(node)  # ask it last next time
                continue
            # Each range has its first slot, its last slot, its master and its replicas.
            nodes = [[_address(end, node) for end in ends] for _, _, *ends in ranges]
            self._known = list(dict.fromkeys([node, *(address for ends in nodes for address in ends), *self._known]))
            for (first, last, *_), (master, *_) in zip(ranges, nodes, strict=True):
                if first <= slot <= last:
                    return master
        raise failure


def _address(node: Any, asked: Address) -> Address:
    host, port, *_ = node
    return Address(host.decode() if host else asked.host, port)
