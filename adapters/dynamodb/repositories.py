from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from adapters.dynamodb import rules
from adapters.dynamodb.belongings import Belongings
from adapters.dynamodb.calls import all_of
from adapters.dynamodb.commits import Write
from adapters.dynamodb.items import (
    ADMINS,
    Key,
    credential_key,
    email_key,
    is_active_admin,
    is_user,
    post_from,
    post_keys,
    posts_of,
    search_ranges,
    user_from,
    user_key,
    username_key,
)
from adapters.dynamodb.reader import Reader
from adapters.dynamodb.removals import Removals
from adapters.dynamodb.table import Range
from domain.credential import Credential
from domain.errors import DomainError, TooBusy
from domain.post import Post
from domain.user import User
from domain.values import Email, PostId, SearchPrefix, UserId, Username

_MOST_LOOKS: Final = 10
_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Source:
    """What the repositories of one storage read from."""

    reader: Reader
    removals: Removals
    belongings: Belongings


class DynamoDBUserRepository:
    def __init__(self, source: Source, staged: list[Write]) -> None:
        self._reader = source.reader
        self._removals = source.removals
        self._staged = staged

    async def get(self, user_id: UserId) -> User | None:
        image = await self._reader.one(user_key(user_id))
        if image is None:
            return None
        if not is_user(image):
            with suppress(DomainError):  # nobody finds the rest in any case
                await self._removals.purge(user_id)
            return None
        return user_from(user_id, image)

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
        found = await self._reader.first(Range("users", after=after, descending=descending), skip + limit, is_user)
        return [user_from(key.sk, image) for key, image in found[skip:]]

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        ids = sorted(await self._ids_in_ranges(prefix), reverse=descending)
        found: list[User] = []
        for start in range(0, len(ids), _AT_ONCE):
            found += await self._starting_with(prefix, ids[start : start + _AT_ONCE])
            if len(found) >= limit:
                break
        return found[:limit]

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        if prefix is None:
            return await self._reader.count(Range("users"))
        return len(await self._ids_in_ranges(prefix))

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        """Look again when somebody listed is none any more; who is so twice was demoted by an earlier version."""
        none_before: Collection[str] = ()
        for _ in range(_MOST_LOOKS):
            listed = [key.sk for key, _ in await self._reader.first(Range(ADMINS), limit + len(none_before))]
            images = await self._reader.some([user_key(user_id) for user_id in listed])
            admins = {key.sk: user_from(key.sk, image) for key, image in images.items() if is_active_admin(image)}
            none = set(listed) - admins.keys()
            if none.issubset(none_before):
                return [admins[user_id] for user_id in listed if user_id in admins][:limit]
            none_before = none
        raise TooBusy

    def add(self, user: User) -> None:
        self._staged.append(Write(partial(rules.add_user, user=user)))

    def save(self, user: User) -> None:
        self._staged.append(Write(partial(rules.save_user, user=user), user_key(user.id)))

    def remove(self, user: User) -> None:
        self._staged.append(Write(partial(rules.remove_user, user=user), user_key(user.id)))

    def require(self, user: User) -> None:
        self._staged.append(Write(partial(rules.require_user, user=user), user_key(user.id)))

    async def _owners(self, keys: Collection[Key], key_of: Callable[[User], Key | None]) -> list[User]:
        """Read the users who own emails or usernames: they, and what leads to them, are read one after the other."""
        found: list[User] = []
        left: Collection[Key] = keys
        for _ in range(_MOST_LOOKS):
            pointers = await self._reader.some(left)
            users = (await self._users({image["owner"] for image in pointers.values()})).values()
            found += (user for user in users if key_of(user) in pointers)
            left = pointers.keys() - {key_of(user) for user in found}
            if not left:
                return found
        raise TooBusy

    async def _users(self, ids: Collection[str]) -> dict[str, User]:
        images = await self._reader.some([user_key(user_id) for user_id in ids])
        return {key.sk: user_from(key.sk, image) for key, image in images.items() if is_user(image)}

    async def _ids_in_ranges(self, prefix: SearchPrefix) -> Collection[str]:
        found = await all_of(
            partial(self._reader.all, Range(key.pk, key.sk), ["owner"]) for key in search_ranges(prefix)
        )
        return {image["owner"] for items in found for _, image in items}

    async def _starting_with(self, prefix: SearchPrefix, ids: Collection[str]) -> Sequence[User]:
        users = await self._users(ids)
        in_order = (users[user_id] for user_id in ids if user_id in users)
        return [user for user in in_order if any(key.startswith(prefix) for key in user.search_keys)]


class DynamoDBPostRepository:
    def __init__(self, source: Source, staged: list[Write]) -> None:
        self._reader = source.reader
        self._belongings = source.belongings
        self._staged = staged

    async def get(self, post_id: PostId) -> Post | None:
        found = await self._belongings.find(post_keys, post_id)
        if found is None:
            return None
        author_id, image = found
        return post_from(author_id, post_id, image)

    async def page(
        self,
        author_id: UserId,
        *,
        after: PostId | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[Post]:
        within = Range(posts_of(author_id), after=after, descending=descending)
        found = await self._belongings.if_there(author_id, lambda: self._reader.first(within, skip + limit)) or []
        return [post_from(author_id, key.sk, image) for key, image in found[skip:]]

    async def count(self, author_id: UserId) -> int:
        within = Range(posts_of(author_id))
        return await self._belongings.if_there(author_id, lambda: self._reader.count(within)) or 0

    def add(self, post: Post) -> None:
        self._staged.append(Write(partial(rules.add_post, post=post)))

    def save(self, post: Post) -> None:
        self._staged.append(Write(partial(rules.save_post, post=post), _record_key(post)))

    def remove(self, post: Post) -> None:
        self._staged.append(Write(partial(rules.remove_post, post=post), _record_key(post)))


class DynamoDBCredentialRepository:
    def __init__(self, source: Source, staged: list[Write]) -> None:
        self._reader = source.reader
        self._staged = staged

    async def get(self, user_id: UserId) -> Credential | None:
        image = await self._reader.one(credential_key(user_id))
        return None if image is None else Credential(user_id, image["password_hash"])

    def put(self, credential: Credential) -> None:
        self._staged.append(Write(partial(rules.put_credential, credential=credential)))

    def require(self, credential: Credential) -> None:
        self._staged.append(
            Write(partial(rules.require_credential, credential=credential), credential_key(credential.user_id))
        )


def _record_key(post: Post) -> Key:
    return post_keys(post.author_id, post.id).record


def _email_key(user: User) -> Key:
    return email_key(user.email.canonical)


def _username_key(user: User) -> Key | None:
    return username_key(user.username.canonical) if user.username else None
