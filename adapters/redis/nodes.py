import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from redis.crc import key_slot
from redis.exceptions import AskError, AuthenticationError, ClusterDownError, MovedError, RedisError

from adapters.redis.config import RedisConfig
from adapters.redis.connections import ask_once
from adapters.redis.errors import MasterUnknown
from adapters.storage_urls import Address

_ANSWER_SECONDS: Final = 2


class MasterLocator:
    """Finds the server that may write the service's keys.

    It is the only one, the master of their slot in a cluster, or the master that Sentinels name.
    """

    def __init__(self, config: RedisConfig) -> None:
        self._config = config
        self._known = list(config.addresses)
        self._master = None if config.may_move else config.addresses[0]
        self._locating = asyncio.Lock()

    async def master(self) -> Address:
        async with self._locating:
            if self._master is None:
                self._master = await self._find_master()
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

    def mark_unavailable(self, address: Address) -> None:
        """Process a failure of a node, which may no longer be the master."""
        if self._config.may_move and self._master == address:
            self._master = None

    async def _find_master(self) -> Address:
        look = self._look_in_cluster if self._config.is_cluster else self._look_by_sentinel
        failure: RedisError | OSError = ClusterDownError("no node has the slot")
        for node in self._known.copy():
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    found = await look(node)
            except (RedisError, OSError) as error:
                failure = error
                self._known.remove(node)
                self._known.append(node)  # ask it last next time
                continue
            self._known = list(dict.fromkeys([node, *found.others, *self._known]))
            if found.master is not None:
                return found.master
        raise failure

    async def _look_in_cluster(self, node: Address) -> "_Found":
        slot = key_slot(self._config.key("").encode())
        ranges = await ask_once(self._config, node, "CLUSTER", "SLOTS")
        # Each range has its first slot, its last slot, its master and its replicas.
        nodes = [[_address(end, node) for end in ends] for _, _, *ends in ranges]
        masters = (
            master for (first, last, *_), (master, *_) in zip(ranges, nodes, strict=True) if first <= slot <= last
        )
        return _Found(next(masters, None), [address for ends in nodes for address in ends])

    async def _look_by_sentinel(self, sentinel: Address) -> "_Found":
        answer = await _ask_sentinel(self._config, sentinel)
        if answer is None:
            raise MasterUnknown
        host, port = answer
        master = Address(host.decode(), int(port))
        role, *_ = await ask_once(self._config, master, "ROLE")
        if role != b"master":  # the failover is not done yet
            raise ClusterDownError("the Sentinels name a replica")
        return _Found(master, [])


class _Found(NamedTuple):
    master: Address | None
    others: Sequence[Address]
    """Further nodes to ask next time."""


async def _ask_sentinel(config: RedisConfig, sentinel: Address) -> Any:
    """Ask for the master: without a login, or with that of Redis if the Sentinel requires one."""
    command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", str(config.master_name))
    login = replace(config, database=0)
    try:
        return await ask_once(replace(login, username=None, password=None), sentinel, *command)
    except AuthenticationError:
        return await ask_once(login, sentinel, *command)


def _address(node: Any, asked: Address) -> Address:
    host, port, *_ = node
    return Address(host.decode() if host else asked.host, port)
