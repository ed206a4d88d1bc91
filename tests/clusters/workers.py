"""Workers that use several service processes at once and record every request and response."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.clusters.history import Kind, Operation, State, Stored

_WORKERS_PER_PROCESS: Final = 4
_CONTESTED_EMAILS: Final = 5
_PAUSE_SECONDS: Final = 0.02
_TIMEOUT_SECONDS: Final = 30


@dataclass
class Workers:
    """Users of a service. All share what they know of the records, so that they get in each other's way."""

    addresses: Sequence[str]
    history: list[Operation] = field(default_factory=list)
    _users: list[str] = field(default_factory=list)
    _versions: dict[str, int] = field(default_factory=dict)
    _tags: dict[str, str] = field(default_factory=dict)
    _number: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Work until the event."""
        async with asyncio.TaskGroup() as tasks:
            for number, address in enumerate([*self.addresses] * _WORKERS_PER_PROCESS):
                tasks.create_task(self._work(address, random.Random(number), stop))  # noqa: S311 - for variety

    async def state(self) -> State:
        """Return all users at the end."""
        found = {}
        async with httpx.AsyncClient(base_url=self.addresses[0], timeout=_TIMEOUT_SECONDS) as client:
            page: str | None = "/users?limit=100"
            while page is not None:
                users = await client.get(page)
                users.raise_for_status()
                page = users.links.get("next", {}).get("url")
                for user in users.json():
                    response = await client.get(f"/users/{user['id']}")
                    found[user["id"]] = Stored(response.json()["email"], _version_of(response) or 0)
        return found

    def seconds_until_write(self, moment: float) -> float:
        """Return how long after a moment the first write began that was acknowledged."""
        writes = (each for each in self.history if each.kind in {"create", "patch"} and each.is_acknowledged)
        return min(each.started for each in writes if each.started >= moment) - moment

    async def _work(self, address: str, choice: random.Random, stop: asyncio.Event) -> None:
        async with httpx.AsyncClient(base_url=address, timeout=_TIMEOUT_SECONDS) as client:
            while not stop.is_set():
                await self._act(client, choice)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _act(self, client: httpx.AsyncClient, choice: random.Random) -> None:
        kind: Kind = choice.choices(("create", "patch", "remove", "read"), (3, 5, 1, 5))[0]
        self._number += 1
        if kind == "create" or not self._users:
            is_contested = choice.random() < 0.3
            name = f"contested{choice.randrange(_CONTESTED_EMAILS)}" if is_contested else f"user{self._number}"
            email = f"{name}@example.org"
            await self._send(client, "create", "POST", "/users", email=email, json={"email": email, "name": name})
            return
        user_id = choice.choice(self._users[-20:])
        if kind == "read":
            await self._send(client, kind, "GET", f"/users/{user_id}", user_id=user_id)
        elif kind == "remove":
            await self._send(client, kind, "DELETE", f"/users/{user_id}", user_id=user_id)
        else:
            version = self._versions.get(user_id) if choice.random() < 0.5 else None
            changes = {"name": f"Name {self._number}"}
            if choice.random() < 0.2:
                changes["email"] = f"contested{choice.randrange(_CONTESTED_EMAILS)}@example.org"
            await self._send(
                client,
                kind,
                "PATCH",
                f"/users/{user_id}",
                user_id=user_id,
                if_match=version,
                email=changes.get("email"),
                json=changes,
            )

    async def _send(
        self,
        client: httpx.AsyncClient,
        kind: Kind,
        method: str,
        path: str,
        *,
        user_id: str | None = None,
        if_match: int | None = None,
        email: str | None = None,
        json: dict[str, str] | None = None,
    ) -> None:
        headers = {} if if_match is None else {"if-match": self._tags[user_id or ""]}
        started = time.monotonic()
        try:
            response = await client.request(method, path, json=json, headers=headers)
        except httpx.TransportError:
            self.history.append(Operation(kind, started, time.monotonic(), 0, user_id, email, if_match))
            return
        ended = time.monotonic()
        body: Any = response.json() if response.content else {}
        version = _version_of(response)
        if kind == "create" and response.status_code == 201:
            user_id = body["id"]
            self._users.append(user_id)
        if user_id is not None and version is not None and response.status_code < 300:
            self._versions[user_id], self._tags[user_id] = version, response.headers["etag"]
        self.history.append(
            Operation(
                kind,
                started,
                ended,
                response.status_code,
                user_id,
                email,
                if_match,
                version,
                body.get("code"),
                response.status_code != 503 or "retry-after" in response.headers,
            )
        )


def _version_of(response: httpx.Response) -> int | None:
    tag = response.headers.get("etag", "").strip('"').partition("-")[0]
    return int(tag) if tag.isdigit() else None
