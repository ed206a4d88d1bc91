"""Workers that use several service processes at once and record every request and response."""

import asyncio
import base64
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx

from domain.session import Session
from tests.clusters.history import Content, Kind, Operation, State, Stored
from tests.http.sign_in_helpers import PASSWORD, bearer

_WORKERS_PER_PROCESS: Final = 4
_CONTESTED_EMAILS: Final = 5
_SHARE_WITH_PASSWORD: Final = 0.2
_PAUSE_SECONDS: Final = 0.02
_TIMEOUT_SECONDS: Final = 30
_KINDS: Final[dict[Kind, int]] = {"create": 15, "patch": 25, "remove": 5, "read": 25, "sign_in": 4, "refresh": 12}


@dataclass
class Workers:
    """Users of a service. All share what they know of the records, so that they get in each other's way."""

    addresses: Sequence[str]
    admin_token: str
    history: list[Operation] = field(default_factory=list)
    _users: list[str] = field(default_factory=list)
    _versions: dict[str, int] = field(default_factory=dict)
    _tags: dict[str, str] = field(default_factory=dict)
    _names: list[tuple[str, str]] = field(default_factory=list)
    """The id and username of each user who has a password."""

    _sessions: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The user and the refresh token that was issued last, by session."""

    _number: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Work until the event."""
        async with asyncio.TaskGroup() as tasks:
            for number, address in enumerate([*self.addresses] * _WORKERS_PER_PROCESS):
                tasks.create_task(self._work(address, random.Random(number), stop))  # noqa: S311 - for variety

    async def state(self) -> State:
        """Return all users at the end."""
        found = {}
        async with self._client(self.addresses[0]) as client:
            page: str | None = "/users?limit=100"
            while page is not None:
                users = await client.get(page)
                users.raise_for_status()
                page = users.links.get("next", {}).get("url")
                for user in users.json():
                    response = await client.get(f"/users/{user['id']}")
                    found[user["id"]] = Stored(_content_of(response.json()), _version_of(response) or 0)
        return found

    async def wait_for_all_kinds(self, *, since: float) -> None:
        """Wait until every process has acknowledged an operation of each kind that began later."""
        wanted = {(address, kind) for address in self.addresses for kind in _KINDS}
        while wanted - {  # noqa: ASYNC110 - a look at a history that grows all the time
            (each.address, each.kind) for each in self.history if each.is_acknowledged and each.started >= since
        }:
            await asyncio.sleep(0.1)

    async def refresh_all(self) -> None:
        """Refresh each session, as a check that none is lost; first with a used token where one is old enough."""
        latest_use = time.monotonic() - Session.REUSE_GRACE_PERIOD.total_seconds() - 1
        used = {
            each.session_id: each.token
            for each in self.history
            if each.kind == "refresh" and each.is_acknowledged and each.ended < latest_use
        }
        for number, (session_id, (user_id, token)) in enumerate(list(self._sessions.items())):
            async with self._client(self.addresses[number % len(self.addresses)]) as client:
                old_token = used.get(session_id)
                if old_token is not None and number % 2:
                    await self._refresh(client, session_id, user_id, old_token)
                await self._refresh(client, session_id, user_id, token)

    def seconds_until_writes(self, moments: Sequence[float]) -> float:
        """Return how long after its moment the last of the processes acknowledged a write again."""
        return max(
            min(
                each.ended - moment
                for each in self.history
                if each.address == address
                and each.kind in {"create", "patch"}
                and each.is_acknowledged
                and each.ended >= moment
            )
            for address, moment in zip(self.addresses, moments, strict=True)
        )

    def _client(self, address: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=address, timeout=_TIMEOUT_SECONDS, headers=bearer(self.admin_token))

    async def _work(self, address: str, choice: random.Random, stop: asyncio.Event) -> None:
        async with self._client(address) as client:
            while not stop.is_set():
                await self._act(client, choice)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _act(self, client: httpx.AsyncClient, choice: random.Random) -> None:
        kind = choice.choices(list(_KINDS), list(_KINDS.values()))[0]
        self._number += 1
        if kind == "create" or not self._users:
            is_contested = choice.random() < 0.3
            name = f"contested{choice.randrange(_CONTESTED_EMAILS)}" if is_contested else f"user{self._number}"
            body = {"email": f"{name}@example.org", "name": name}
            if choice.random() < _SHARE_WITH_PASSWORD:
                body |= {"username": f"user{self._number}", "password": PASSWORD}
            await self._send(client, "create", "POST", "/users", json=body)
            return
        if kind == "sign_in" and self._names:
            user_id, name = choice.choice(self._names[-10:])
            form = {"grant_type": "password", "username": name, "password": PASSWORD}
            await self._send(client, kind, "POST", "/auth/token", user_id=user_id, form=form)
            return
        if kind == "refresh" and self._sessions:
            session_id = choice.choice(list(self._sessions)[-20:])
            await self._refresh(client, session_id, *self._sessions[session_id])
            return
        user_id = choice.choice(self._users[-20:])
        if kind in {"read", "sign_in", "refresh"}:
            kind = "read"
            await self._send(client, kind, "GET", f"/users/{user_id}", user_id=user_id)
        elif kind == "remove":
            await self._send(client, kind, "DELETE", f"/users/{user_id}", user_id=user_id)
        else:
            version = self._versions.get(user_id) if choice.random() < 0.5 else None
            changes = {"name": f"Name {self._number}"}
            if choice.random() < 0.2:
                changes["email"] = f"contested{choice.randrange(_CONTESTED_EMAILS)}@example.org"
            await self._send(
                client, kind, "PATCH", f"/users/{user_id}", user_id=user_id, if_match=version, json=changes
            )

    async def _refresh(self, client: httpx.AsyncClient, session_id: str, user_id: str, token: str) -> None:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        await self._send(
            client, "refresh", "POST", "/auth/token", user_id=user_id, form=form, session_id=session_id, token=token
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
        json: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
        session_id: str | None = None,
        token: str | None = None,
    ) -> None:
        headers = {} if if_match is None else {"if-match": self._tags[user_id or ""]}
        sent = Operation(
            kind,
            started=time.monotonic(),
            ended=0,
            status=0,
            user_id=user_id,
            email=json.get("email") if json else None,
            name=json.get("name") if json else None,
            if_match=if_match,
            session_id=session_id,
            token=token,
            address=str(client.base_url).rstrip("/"),
        )
        try:
            response = await client.request(method, path, json=json, data=form, headers=headers)
        except httpx.TransportError:
            self.history.append(replace(sent, ended=time.monotonic()))
            return
        ended = time.monotonic()
        body: Any = response.json() if response.content else {}
        version = _version_of(response)
        if kind == "create" and response.status_code == 201:
            user_id = body["id"]
            self._users.append(user_id)
            if json and "password" in json:
                self._names.append((user_id, json["username"]))
        if user_id is not None and kind in {"sign_in", "refresh"} and response.status_code == 200:
            session_id = _session_of(body["access_token"])
            self._sessions[session_id] = user_id, body["refresh_token"]
        if user_id is not None and version is not None and response.status_code < 300:
            self._versions[user_id], self._tags[user_id] = version, response.headers["etag"]
        self.history.append(
            replace(
                sent,
                ended=ended,
                status=response.status_code,
                user_id=user_id,
                version=version,
                content=_content_of(body) if kind in {"create", "patch", "read"} and response.is_success else None,
                code=body.get("code"),
                retry_after=response.status_code != 503 or "retry-after" in response.headers,
                session_id=session_id,
            )
        )


def _content_of(user: Any) -> Content:
    return Content(user["email"], user["name"])


def _session_of(access_token: str) -> str:
    claims = access_token.split(".")[1]
    found: str = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sid"]
    return found


def _version_of(response: httpx.Response) -> int | None:
    tag = response.headers.get("etag", "").strip('"').partition("-")[0]
    return int(tag) if tag.isdigit() else None
