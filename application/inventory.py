import json
from collections.abc import Sequence
from hashlib import sha256

from application.all_records import Record
from application.timestamps import timestamp
from domain.credential import Credential
from domain.post import Post
from domain.session import Session
from domain.user import User


class Inventory:
    """Counts records, and makes a digest by which two storages can be compared."""

    def __init__(self) -> None:
        self.users = 0
        self.credentials = 0
        self.sessions = 0
        self.posts = 0
        self._hash = sha256()

    def enter(self, record: Record) -> None:
        match record:
            case User():
                self.users += 1
            case Credential():
                self.credentials += 1
            case Session():
                self.sessions += 1
            case Post():
                self.posts += 1
        line = json.dumps([type(record).__name__, *_fields(record)], ensure_ascii=False, separators=(",", ":"))
        self._hash.update(f"{line}\n".encode())

    @property
    def records(self) -> int:
        return self.users + self.credentials + self.sessions + self.posts

    @property
    def digest(self) -> str:
        """SHA-256 (FIPS 180-4), in hexadecimal, of every field of every record in the order of their entry."""
        return self._hash.hexdigest()

    def __str__(self) -> str:
        return f"{self.users} users, {self.posts} posts, {self.credentials} credentials and {self.sessions} sessions"


def _fields(record: Record) -> Sequence[object]:
    match record:
        case User():
            username = record.username
            return (
                record.id,
                record.email.address,
                record.email.canonical,
                username and username.text,
                username and username.canonical,
                record.name,
                record.bio,
                record.role.value,
                record.active,
                *_state(record),
            )
        case Credential():
            return (record.user_id, record.password_hash)
        case Session():
            return (
                record.id,
                record.user_id,
                record.user_agent,
                record.place,
                record.token_digest,
                record.salt,
                [timestamp(moment) for moment in record.refreshed_at],
                record.version,
                timestamp(record.created_at),
                timestamp(record.last_used_at),
                timestamp(record.expires_at),
            )
        case Post():
            return (record.id, record.author_id, record.title, record.body, *_state(record))


def _state(record: User | Post) -> Sequence[object]:
    return (record.version, timestamp(record.created_at), timestamp(record.updated_at))
