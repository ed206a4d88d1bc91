"""Use cases for posts."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.concurrency import Expected, OptimisticRetry, RecordUpdates, check_version
from application.ports import Clock, IdSource
from domain.errors import FieldChecks, PostNotFound, UserNotFound
from domain.post import POSTS, Post
from domain.storage import Storage, UnitOfWork
from domain.user import UNSET, Unset
from domain.values import Body, PostId, Title, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPost:
    """The input for a new post, not yet validated."""

    title: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostChanges:
    """The input for a change of a post, not yet validated."""

    title: str | Unset = UNSET
    body: str | Unset = UNSET


class PostService:
    """Publishes, lists, changes and removes posts. Every method may also raise what the storage port raises.

    `of` restricts a call to the posts of one user; any other post is then not found.
    """

    def __init__(self, storage: Storage, clock: Clock, ids: IdSource) -> None:
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._retry = OptimisticRetry()
        self._updates: RecordUpdates[PostId, Post] = RecordUpdates(storage, lambda unit: unit.records(POSTS))

    async def publish(self, author_id: UserId, new: NewPost) -> Post:
        """Add a post. Raise `InvalidInput`, or `UserNotFound`, also when the author is removed concurrently."""
        check = FieldChecks()
        post = Post.publish(
            id=self._ids.new(PostId),
            author_id=author_id,
            now=self._clock.now(),
            title=check("title", Title.parse, new.title),
            body=check("body", Body.parse, new.body),
        )
        check.raise_if_invalid()
        unit = self._storage.unit_of_work()
        unit.records(POSTS).add(post)
        await unit.commit()
        return post

    async def get(self, post_id: PostId, *, of: UserId | None = None) -> Post:
        """Return a post. Raise `PostNotFound`."""
        return _expected(await self._storage.unit_of_work().records(POSTS).get(post_id), None, of)

    async def list_by(
        self,
        author_id: UserId,
        *,
        after: PostId | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[Post]:
        """List an author's posts in creation order; see `Records.page`. Raise `UserNotFound`."""
        unit = self._storage.unit_of_work()
        posts = await unit.records(POSTS).page(
            owner=author_id, after=after, limit=limit, descending=descending, skip=skip
        )
        if not posts and await unit.users.get(author_id) is None:
            raise UserNotFound
        return posts

    async def count_by(self, author_id: UserId) -> int:
        """Count the posts of an author, who need not exist."""
        return await self._storage.unit_of_work().records(POSTS).count(owner=author_id)

    async def change(
        self, post_id: PostId, changes: PostChanges, expected: Expected = None, *, of: UserId | None = None
    ) -> Post:
        """Change the given fields. Raise `InvalidInput`, `PostNotFound` or `VersionMismatch`."""
        check = FieldChecks()
        title = check("title", Title.parse, changes.title)
        body = check("body", Body.parse, changes.body)
        check.raise_if_invalid()

        async def change(_: UnitOfWork, post: Post | None) -> Post:
            return _expected(post, expected, of).change(now=self._clock.now(), title=title, body=body)

        return await self._updates.apply(post_id, change)

    async def remove(self, post_id: PostId, expected: Expected = None, *, of: UserId | None = None) -> None:
        """Remove a post. Raise `PostNotFound` or `VersionMismatch`."""

        async def attempt() -> None:
            unit = self._storage.unit_of_work()
            posts = unit.records(POSTS)
            posts.remove(_expected(await posts.get(post_id), expected, of))
            await unit.commit()

        await self._retry.run(post_id, attempt)


def _expected(post: Post | None, expected: Expected, of: UserId | None) -> Post:
    if post is None or of not in (None, post.author_id):
        raise PostNotFound
    check_version(post.version, expected)
    return post
