"""What a commit survives is up to the settings of the server; whoever runs it is told when that is not everything."""

import logging
from collections.abc import Mapping
from typing import Final

from redis.exceptions import ResponseError

from adapters.redis.server import Server
from domain.errors import StorageUnavailable

_SETTINGS: Final = ("appendonly", "appendfsync", "maxmemory-policy")
_REMEDY: Final = "for none, CONFIG SET appendonly yes and appendfsync always"

_log = logging.getLogger("userport")
_told: set[tuple[object, str]] = set()


async def tell_what_could_be_lost(server: Server) -> None:
    """Log one warning about a server that may lose commits or users, the same one once a process."""
    warning = "; ".join(_losses(await _settings(server), is_cluster=server.place.is_cluster))
    if warning and (server.place, warning) not in _told:
        _told.add((server.place, warning))
        _log.warning(warning)


async def _settings(server: Server) -> Mapping[str, str] | None:
    """Read the settings; None where the server keeps them to itself, as managed ones do."""
    settings: dict[str, str] = {}
    for name in _SETTINGS:
        try:
            answer = await server.command("CONFIG", "GET", name)
        except StorageUnavailable as error:
            if isinstance(error.__cause__, ResponseError):
                return None
            raise
        if not answer:
            return None
        settings[name] = answer[1].decode()
    return settings


def _losses(settings: Mapping[str, str] | None, *, is_cluster: bool) -> list[str]:
    losses = []
    if settings is None:
        losses.append("Redis does not tell its settings, so nobody here knows what a commit survives")
    elif settings["appendonly"] != "yes":
        losses.append(f"Redis may lose all commits since its last snapshot in a crash: appendonly is no; {_REMEDY}")
    elif settings["appendfsync"] == "everysec":
        losses.append(f"Redis may lose the last second of commits in a crash: appendfsync is everysec; {_REMEDY}")
    elif settings["appendfsync"] != "always":
        losses.append(f"Redis may lose the last commits in a crash: appendfsync is no; {_REMEDY}")
    if is_cluster:
        losses.append("in a failover, a Redis cluster may lose commits that no replica has received yet")
    if settings and settings["maxmemory-policy"].startswith("allkeys-"):
        policy = settings["maxmemory-policy"]
        losses.append(f"Redis removes users when its memory is full: maxmemory-policy is {policy}, not noeviction")
    return losses
