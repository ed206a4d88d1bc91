from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Final

from adapters.dynamodb import user_rules
from adapters.dynamodb.commits import Write
from adapters.dynamodb.items import Key
from adapters.dynamodb.reader import Reader
from adapters.dynamodb.record_items import RecordItems
from adapters.dynamodb.table import Range
from adapters.dynamodb.user_items import (
    ADMINS,
    email_key,
    is_active_admin,
    is_user,
    search_ranges,
    user_from,
    user_key,
    username_key,
)
from adapters.resilience import gather_bounded
from domain.errors import TooBusy
from domain.user import User
from domain.values import Email, SearchPrefix, UserId, Username

_MAX_READ_ATTEMPTS: Final = 10
_SEARCHED_AT_ONCE: Final = 100


class DynamoDBUserRepository:
    def __init__(self, reader: Reader, record_items: Sequence[RecordItems[Any]], staged: list[Write]) -> None:
        self._reader = reader
        self._record_items = record_items
        self._staged = staged

    async def get(self, user_id: UserId) -> User | None:
        image = await self._reader.get(user_key(user_id))
        return user_from(user_id, image) if image is not None and is_user(image) else None

    async def find_by_email(self, email: Email) -> User | None:
        found = await self.find_by_emails([email])
        return found[0] if found else None

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        return await self._owners([email_key(email.canonical) for email in emails], _email_key)

    async def find_by_username(self, username: Username) -> User | None:
        found = await self._owners([username_key(username.canonical)], _username_key)
        return found[0] if found else None

    async def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        found = await self._reader.query_first(
            Range("users", after=after, descending=descending), skip + limit, is_user
        )
        return [user_from(key.sk, image) for key, image in found[skip:]]

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        ids = sorted(await self._ids_in_ranges(prefix), reverse=descending)
        found: list[User] = []
        for start in range(0, len(ids), _SEARCHED_AT_ONCE):
            found += await self._starting_with(prefix, ids[start : start + _SEARCHED_AT_ONCE])
            if len(found) >= limit:
                break
        return found[:limit]

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        if prefix is None:
            return await self._reader.count(Range("users"))
        return len(await self._ids_in_ranges(prefix))

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        for _ in range(_MAX_READ_ATTEMPTS):
            listed = [key.sk for key, _ in await self._reader.query_first(Range(ADMINS), limit)]
            images = await self._reader.get_many([user_key(user_id) for user_id in listed])
            admins = [user_from(key.sk, image) for key, image in images.items() if is_active_admin(image)]
            if len(admins) == len(listed):
                return sorted(admins, key=lambda user: user.id)
        raise TooBusy

    def add(self, user: User) -> None:
        self._staged.append(partial(user_rules.add_user, user=user))

    def save(self, user: User) -> None:
        self._staged.append(partial(user_rules.save_user, user=user))

    def remove(self, user: User) -> None:
        self._staged.append(partial(user_rules.remove_user, user=user, record_items=self._record_items))

    def require(self, user: User) -> None:
        self._staged.append(partial(user_rules.require_user, user=user))

    async def _owners(self, keys: Collection[Key], key_of: Callable[[User], Key | None]) -> list[User]:
        """Return the owners of emails or usernames: pointers and users are read one after the other."""
        found: list[User] = []
        left: Collection[Key] = keys
        for _ in range(_MAX_READ_ATTEMPTS):
            pointers = await self._reader.get_many(left)
            users = (await self._users({image["owner"] for image in pointers.values()})).values()
            found += (user for user in users if key_of(user) in pointers)
            left = pointers.keys() - {key_of(user) for user in found}
            if not left:
                return found
        raise TooBusy

    async def _users(self, ids: Collection[str]) -> dict[str, User]:
        images = await self._reader.get_many([user_key(user_id) for user_id in ids])
        return {key.sk: user_from(key.sk, image) for key, image in images.items() if is_user(image)}

    async def _ids_in_ranges(self, prefix: SearchPrefix) -> Collection[str]:
        found = await gather_bounded(
            partial(self._reader.query_all, Range(key.pk, key.sk), ["owner"]) for key in search_ranges(prefix)
        )
        return {image["owner"] for items in found for _, image in items}

    async def _starting_with(self, prefix: SearchPrefix, ids: Collection[str]) -> Sequence[User]:
        users = await self._users(ids)
        in_order = (users[user_id] for user_id in ids if user_id in users)
        return [user for user in in_order if any(key.startswith(prefix) for key in user.search_keys)]


def _email_key(user: User) -> Key:
    return email_key(user.email.canonical)


def _username_key(user: User) -> Key | None:
    return username_key(user.username.canonical) if user.username else None
