"""The settings of the server decide what a commit survives; warn the operator when that is not everything."""

import logging
from collections.abc import Sequence
from multiprocessing import parent_process
from typing import Any, Final

from redis.exceptions import ResponseError

from adapters.redis.server import Server
from domain.errors import StorageUnavailable

_SETTINGS: Final = ("appendonly", "appendfsync", "maxmemory-policy")
_REMEDY: Final = "for none, CONFIG SET appendonly yes and appendfsync always"

_log = logging.getLogger("userport")
_logged: set[tuple[object, str]] = set()


async def warn_about_durability(server: Server) -> None:
    """Log a warning, once, if the server may lose commits or users."""
    if parent_process() is not None:  # it has warned before it started this worker
        return
    warning = "; ".join(await _losses(server))
    if warning and (server.config, warning) not in _logged:
        _logged.add((server.config, warning))
        _log.warning(warning)


async def _losses(server: Server) -> Sequence[str]:
    losses = []
    settings = {name: await _setting(server, name) for name in _SETTINGS}
    match settings["appendonly"], settings["appendfsync"]:
        case (None, _) | (_, None):
            losses.append("Redis does not tell its settings, so it is unknown whether a commit survives a crash")
        case "no", _:
            losses.append(f"Redis may lose all commits since its last snapshot in a crash: appendonly is no; {_REMEDY}")
        case _, "everysec":
            losses.append(f"Redis may lose the last second of commits in a crash: appendfsync is everysec; {_REMEDY}")
        case _, "no":
            losses.append(f"Redis may lose the last commits in a crash: appendfsync is no; {_REMEDY}")
    if settings["appendonly"] == "yes" and not await _replays_its_file(server):
        losses.append(
            "Redis may lose all commits at its next start: up to 8.4, it replays its file with the rights of the user "
            '"default", who may not write here; ACL SETUSER default off ~* &* +@all keeps that user out as well'
        )
    if server.config.may_move and not server.config.replicas:
        losses.append(
            "in a failover, Redis may lose commits that no replica has received yet; for none, add replicas= to the "
            "storage URL, with the number of replicas that must have a commit before it is answered"
        )
    policy = settings["maxmemory-policy"]
    if policy is not None and policy.startswith("allkeys-"):
        losses.append(f"Redis removes users when its memory is full: maxmemory-policy is {policy}, not noeviction")
    return losses


async def _setting(server: Server, name: str) -> str | None:
    """Return a setting, or None if the server does not reveal it, as managed services do."""
    answer = await _answer(server, "CONFIG", "GET", name)
    return answer[1].decode() if answer else None


async def _replays_its_file(server: Server) -> bool:
    answer = await _answer(server, "ACL", "DRYRUN", "default", "HSET", server.config.key("records"), "id", "record")
    return answer in {None, b"OK"}


async def _answer(server: Server, *command: str) -> Any:
    """Return the response to a command, or None if the server denies it."""
    try:
        return await server.command(*command)
    except StorageUnavailable as error:
        if isinstance(error.__cause__, ResponseError):
            return None
        raise
