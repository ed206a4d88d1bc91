"""Users, and the records of one type. Records of a removed user may still be in the table, but are invisible."""

import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

from adapters.dynamodb import rules
from adapters.dynamodb.commits import Write
from adapters.dynamodb.items import (
    ADMINS,
    REMOVALS,
    Image,
    Key,
    RecordRef,
    UserRef,
    email_key,
    is_active_admin,
    is_user,
    owned_partition,
    owns,
    record_image,
    search_ranges,
    time_text,
    unique_key,
    user_from,
    user_image,
    user_key,
    username_key,
)
from adapters.dynamodb.reader import Reader
from adapters.dynamodb.table import Range
from adapters.resilience import gather_bounded
from domain.errors import TooBusy
from domain.records import MAX_KEY_BYTES, R, RecordType
from domain.user import User
from domain.values import Email, SearchPrefix, UserId, Username

T = TypeVar("T")

_MAX_READ_ATTEMPTS: Final = 10
_MAX_ITEMS_AT_ONCE: Final = 1_000
_SEARCHED_AT_ONCE: Final = 100


class DynamoDBUserRepository:
    def __init__(self, reader: Reader, record_types: Sequence[RecordType[Any]], staged: list[Write]) -> None:
        self._reader = reader
        self._record_types = record_types
        self._staged = staged

    async def get(self, user_id: UserId) -> User | None:
        image = await self._reader.get(user_key(user_id))
        return user_from(user_id, image) if is_user(image) else None

    async def find_by_email(self, email: Email) -> User | None:
        found = await self.find_by_emails([email])
        return found[0] if found else None

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        return await self._owners([email_key(email.canonical) for email in emails])

    async def find_by_username(self, username: Username) -> User | None:
        found = await self._owners([username_key(username.canonical)])
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
        self._stage(rules.add_user, user, image=user_image(user))

    def save(self, user: User) -> None:
        self._stage(rules.save, user, image=user_image(user))

    def remove(self, user: User) -> None:
        self._stage(rules.remove_user, user, version=user.version, record_types=self._record_types)

    def require(self, user: User) -> None:
        self._stage(rules.require, user, version=user.version)

    def _stage(self, rule: Callable[..., None], user: User, **arguments: Any) -> None:
        self._staged.append(partial(rule, ref=UserRef(user.id), **arguments))

    async def _owners(self, keys: Collection[Key]) -> Sequence[User]:
        """Return the owners of emails or usernames: pointers and users are read one after the other."""
        found: dict[Key, User] = {}
        for _ in range(_MAX_READ_ATTEMPTS):
            pointers = await self._reader.get_many(keys)
            users = await self._users({image["owner"] for image in pointers.values()})
            found |= {key: user for user in users.values() for key in _unique_keys(user) if key in pointers}
            keys = pointers.keys() - found.keys()
            if not keys:
                return list(found.values())
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


class DynamoDBRecords(Generic[R]):
    def __init__(self, record_type: RecordType[R], reader: Reader, staged: list[Write]) -> None:
        self._type = record_type
        self._all = Range(f"records#{record_type.name}")
        self._reader = reader
        self._staged = staged

    async def get(self, key: str) -> R | None:
        if not _can_be_key(key):
            return None
        if self._type.owner == self._type.key:
            found = await self._visible([RecordRef(self._type, key, key)], set())
            return self._restored(found[key]) if found else None
        ref = RecordRef(self._type, None, key)
        if self._type.owner is None:
            image = await self._reader.get(ref.item_key)
            return None if image is None else self._restored(image)
        return await self._followed(ref.pointer_key, lambda _: True)

    async def find(self, field: str, value: str) -> R | None:
        if not _can_be_key(value):
            return None
        index_key = unique_key(self._type, field, value)
        return await self._followed(index_key, lambda image: image.get("unique", {}).get(field) == value)

    async def page(
        self,
        *,
        owner: UserId | None = None,
        after: str | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[R]:
        enough = skip + limit
        if owner is None:
            found = await self._walk(replace(self._all, after=after, descending=descending), enough)
        else:
            within = replace(Range(owned_partition(self._type, owner)), after=after, descending=descending)

            async def look(purging: str | None) -> Sequence[Image]:
                found = await self._reader.query_first(within, enough, lambda image: purging in {None, image["rev"]})
                return [image for _, image in found]

            found = await self._of_owner(owner, look) or []
        return list(map(self._restored, found[skip:enough]))

    async def count(self, *, owner: UserId | None = None) -> int:
        if owner is not None:
            return await self._of_owner(owner, partial(self._count_owned, owner)) or 0
        for _ in range(_MAX_READ_ATTEMPTS):
            removed = await self._removed_owners()
            if removed:
                pointers = await self._reader.query_all(self._all, ["owner"])
                total = sum(pointer["owner"] not in removed for _, pointer in pointers)
                users = await self._reader.get_many([user_key(owner) for owner in removed])
                for key, user in users.items():
                    if is_user(user):  # added again
                        total += await self.count(owner=UserId(key.sk))
            else:
                total = await self._reader.count(self._all)
            if await self._removed_owners() <= removed:
                return total
        raise TooBusy

    async def due(self, moment: datetime, *, limit: int) -> Sequence[R]:
        last = time_text(moment)
        found = await self._walk(Range(f"due#{self._type.name}", before=f"{last}$"), limit)  # `$` follows `#`
        due = [image for image in found if "due" in image and image["due"] <= last]
        return list(map(self._restored, sorted(due, key=itemgetter("due"))))

    def add(self, record: R) -> None:
        self._stage(rules.add_record, record, image=record_image(self._type, record))

    def save(self, record: R) -> None:
        self._stage(rules.save, record, image=record_image(self._type, record))

    def remove(self, record: R) -> None:
        self._stage(rules.remove_record, record, version=record.version)

    def require(self, record: R) -> None:
        self._stage(rules.require, record, version=record.version)

    def _restored(self, image: Image) -> R:
        return self._type.from_json(json.loads(image["body"]))

    def _indexed(self, index: Image) -> RecordRef:
        """Return the record that an index item points to."""
        return RecordRef(self._type, index.get("owner"), index["key"])

    def _stage(self, rule: Callable[..., None], record: R, **arguments: Any) -> None:
        ref = RecordRef(self._type, self._type.owner_of(record), self._type.key_of(record))
        self._staged.append(partial(rule, ref=ref, **arguments))

    async def _followed(self, index_key: Key, fits: Callable[[Image], bool]) -> R | None:
        """Return the record that an index item points to; repeat if the item changes during the read."""
        before: Image | None = None
        for _ in range(_MAX_READ_ATTEMPTS):
            index = await self._reader.get(index_key)
            if index is None or index == before:
                return None
            for image in (await self._visible([self._indexed(index)], set())).values():
                if fits(image):
                    return self._restored(image)
            before = index
        raise TooBusy

    async def _walk(self, within: Range, enough: int) -> Sequence[Image]:
        """Return the first records of a range whose items are records or point to them."""
        found: dict[str, Image] = {}
        removed: set[Key] = set()
        number = enough
        while len(found) < enough:
            batch = await self._reader.query_first(within, number)
            refs = [self._indexed(image) for _, image in batch if "key" in image]
            records = await self._visible(refs, removed) if refs else {key.sk: image for key, image in batch}
            found |= records
            if len(batch) < number:
                break
            within = replace(within, after=batch[-1][0].sk)
            number = enough - len(found) if records else min(2 * number, _MAX_ITEMS_AT_ONCE)
        return list(found.values())[:enough]

    async def _visible(self, refs: Sequence[RecordRef], removed: set[Key]) -> dict[str, Image]:
        """Return records by key, without those of removed users, whose ids are added to `removed`."""
        refs = [ref for ref in refs if ref.owner_key not in removed]
        owners = {ref.owner_key for ref in refs if ref.owner_key is not None}
        images = await self._reader.get_many([*(ref.item_key for ref in refs), *owners])
        removed |= {owner for owner in owners if not is_user(images.get(owner))}
        found = ((ref, images[ref.item_key]) for ref in refs if ref.item_key in images)
        return {
            ref.key: image for ref, image in found if ref.owner_key is None or owns(images.get(ref.owner_key), image)
        }

    async def _of_owner(self, owner: str, look: Callable[[str | None], Awaitable[T]]) -> T | None:
        """Read the records of a user, and only then the user, who may be removed during the read.

        `look` gets the only commit whose writes still belong to the user, or None if everything does.
        """
        purging: str | None = None
        for _ in range(_MAX_READ_ATTEMPTS):
            found = await look(purging)
            user = await self._reader.get(user_key(owner))
            if not is_user(user):
                return None
            if user.get("purging") == purging:
                return found
            purging = user.get("purging")
        raise TooBusy

    async def _count_owned(self, owner: str, purging: str | None) -> int:
        within = Range(owned_partition(self._type, owner))
        if purging is None:
            return await self._reader.count(within)
        return sum(image["rev"] == purging for _, image in await self._reader.query_all(within, ["rev"]))

    async def _removed_owners(self) -> set[str]:
        """Return the users whose records are being purged."""
        entries = await self._reader.query_all(Range(REMOVALS), ["owner"]) if self._type.owner else ()
        return {key.sk for key, _ in entries}


def _can_be_key(text: str) -> bool:
    """Return whether DynamoDB accepts a text as a sort key."""
    return 0 < len(text.encode(errors="replace")) <= MAX_KEY_BYTES


def _unique_keys(user: User) -> Sequence[Key]:
    usernames = [username_key(user.username.canonical)] if user.username else []
    return [email_key(user.email.canonical), *usernames]
