from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Generic, TypeVar

from adapters.redis import scripts
from adapters.redis.encoding import (
    ADMIN_ENTRY,
    DUE_ENTRY,
    ID_ENTRY,
    USERS,
    decode_record,
    decode_user,
    encode_due,
    encode_record,
    encode_user,
)
from adapters.redis.server import Part, Server
from domain.records import R, RecordType, Versioned
from domain.user import User
from domain.values import Email, SearchPrefix, UserId, Username

E = TypeVar("E", bound=Versioned)

_MAX_SORTED: Final = 5_000
_LAST: Final = b"\xff"
"""Sorts behind every text in UTF-8."""


class _Collection(Generic[E]):
    """All entities of one type: the users, or the records of a record type."""

    def __init__(
        self,
        type_name: str,
        key_of: Callable[[E], str],
        encode: Callable[[E], bytes],
        decode: Callable[[bytes], E],
        server: Server,
        staged: list[Part],
    ) -> None:
        self._type_prefix = f"{type_name}:"
        self._key_of = key_of
        self._encode = encode
        self._decode = decode
        self._server = server
        self._staged = staged

    async def get(self, key: str) -> E | None:
        return _first(await self._read(scripts.GET, self._type_prefix + key))

    async def page(
        self,
        *,
        owner: UserId | None = None,
        after: str | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[E]:
        return await self._listed(ID_ENTRY, limit, after=after, descending=descending, skip=skip, owner=owner)

    def add(self, entity: E) -> None:
        self._stage("add", entity, 0, self._encode(entity))

    def save(self, entity: E) -> None:
        self._stage("save", entity, entity.version - 1, self._encode(entity))

    def remove(self, entity: E) -> None:
        self._stage("remove", entity, entity.version)

    def require(self, entity: E) -> None:
        self._stage("require", entity, entity.version)

    async def _find(self, field: str, *values: str) -> Sequence[E]:
        """Return the entities with any of these values in a unique field."""
        return await self._read(scripts.FIND, *(f"{self._type_prefix}{field}:{value}" for value in values))

    async def _listed(
        self,
        kind: str,
        limit: int,
        *,
        until: str = "",
        after: str | None = None,
        descending: bool = False,
        skip: int = 0,
        owner: UserId | None = None,
    ) -> Sequence[E]:
        """Return the entities with an entry of a kind, in its order. For due records, `until` is the latest time."""
        first, last = self._bounds(kind, after=after, until=until, descending=descending)
        offset = len(kind) + len(self._type_prefix) + len(until)
        owners = () if owner is None else (owner,)
        options = (offset, self._type_prefix, _direction(descending), skip, limit)
        return await self._read(scripts.PAGE, first, last, *options, *owners)

    async def _count(self, owner: UserId | None = None) -> int:
        owners = () if owner is None else (owner,)
        return int(await self._server.read(scripts.COUNT, *self._bounds(ID_ENTRY), *owners))

    def _bounds(
        self, kind: str, *, after: str | None = None, until: str = "", descending: bool = False
    ) -> tuple[bytes, bytes]:
        entry = f"{kind}{self._type_prefix}".encode()
        first, last = b"[" + entry, b"(" + entry + until.encode() + _LAST
        if after is None:
            return first, last
        bound = b"(" + entry + after.encode()
        return (first, bound) if descending else (bound, last)

    def _stage(self, write: str, entity: E, version: int, stored: bytes = b"") -> None:
        """Stage a write to the entity at this version, which becomes `stored`."""
        self._staged += (write, self._type_prefix + self._key_of(entity), version, stored)

    async def _read(self, script: scripts.Script, *arguments: Part) -> Sequence[E]:
        return [self._decode(stored) for stored in await self._server.read(script, *arguments)]


class RedisUserRepository(_Collection[User]):
    def __init__(self, server: Server, staged: list[Part]) -> None:
        super().__init__(USERS, lambda user: user.id, encode_user, decode_user, server, staged)

    async def find_by_email(self, email: Email) -> User | None:
        return _first(await self.find_by_emails([email]))

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        return await self._find("email", *{email.canonical for email in emails})

    async def find_by_username(self, username: Username) -> User | None:
        return _first(await self._find("username", username.canonical))

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        found = await self._server.read(scripts.SEARCH, prefix, _direction(descending), limit, _MAX_SORTED)
        if isinstance(found, int):
            return await self._walk(prefix, limit, descending)
        return [decode_user(stored) for stored in found]

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        return await self._count() if prefix is None else int(await self._server.read(scripts.SEARCH, prefix))

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        return await self._listed(ADMIN_ENTRY, limit)

    async def _walk(self, prefix: SearchPrefix, limit: int, descending: bool) -> Sequence[User]:
        """Search for a prefix with so many matches that sorting them would block the server.

        Matches are frequent, so a walk over the users finds them soon. Each user is visited once; one whose key matches
        throughout is found.
        """
        users: list[User] = []
        last: str | None = None
        while len(users) < limit:
            bounds = self._bounds(ID_ENTRY, after=last, descending=descending)
            end, found = await self._server.read(scripts.WALK, *bounds, _direction(descending), prefix)
            if end is None:
                break
            last = end.decode()
            users += map(decode_user, found)
        return users[:limit]


class RedisRecords(_Collection[R]):
    def __init__(self, record_type: RecordType[R], server: Server, staged: list[Part]) -> None:
        encode, decode = partial(encode_record, record_type), partial(decode_record, record_type)
        super().__init__(record_type.name, record_type.key_of, encode, decode, server, staged)

    async def find(self, field: str, value: str) -> R | None:
        return _first(await self._find(field, value))

    async def count(self, *, owner: UserId | None = None) -> int:
        return await self._count(owner)

    async def due(self, moment: datetime, *, limit: int) -> Sequence[R]:
        return await self._listed(DUE_ENTRY, limit, until=encode_due(moment))


def _first(found: Sequence[E]) -> E | None:
    return found[0] if found else None


def _direction(descending: bool) -> str:
    return "descending" if descending else "ascending"
