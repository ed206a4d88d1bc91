"""A text that a user has published."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from domain.records import RecordType
from domain.user import UNSET, Unset
from domain.values import Body, PostId, Title, UserId, truncate_to_milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One state of a post, versioned and timed like a `User`. It refers to its author by id."""

    id: PostId
    author_id: UserId
    title: Title
    body: Body
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def publish(cls, *, id: PostId, author_id: UserId, now: datetime, title: Title, body: Body) -> Self:  # noqa: A002
        """Return the first state of a new post."""
        now = truncate_to_milliseconds(now)
        return cls(id=id, author_id=author_id, title=title, body=body, version=1, created_at=now, updated_at=now)

    def change(self, *, now: datetime, title: Title | Unset = UNSET, body: Body | Unset = UNSET) -> Self:
        """Return the next state, or this very object when nothing differs."""
        changed = replace(
            self,
            title=self.title if title is UNSET else title,
            body=self.body if body is UNSET else body,
        )
        if changed == self:
            return self
        updated_at = max(self.updated_at, truncate_to_milliseconds(now))
        return replace(changed, version=self.version + 1, updated_at=updated_at)


POSTS: Final = RecordType("posts", Post, key="id", owner="author_id")
