"""Import many users from another system."""

from asyncio import gather, sleep
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol, TypeAlias

from application.ports import Clock, DomainNames, IdSource, PasswordHasher
from application.transfer.many_credentials import credentials_of
from application.transfer.user_records import HASH_FIELD, ParsedRecord, RawRecord, RecordParser
from domain.credential import CREDENTIALS, Credential
from domain.errors import DomainError, EmailTaken, FieldError, IdTaken, InvalidInput, UsernameTaken
from domain.storage import Storage
from domain.user import User
from domain.values import Email, truncate_to_milliseconds

BATCH: Final = 1_000
"""The maximum number of records per call, as for `UserRepository.find_by_emails`."""

_PARSE_BATCH_SIZE: Final = 100  # one or two milliseconds
_MAX_REMEMBERED: Final = 1_000_000  # under 100 MB


class Imported(Enum):
    """The outcome of a record that was not rejected."""

    ADDED = auto()
    ALREADY_THERE = auto()


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a record was rejected."""

    errors: tuple[FieldError, ...]


Outcome: TypeAlias = Imported | Rejected
Parsed: TypeAlias = ParsedRecord | Rejected

_CONFLICTS: Final = (EmailTaken, UsernameTaken, IdTaken)
_FIELD_IN_CONFLICT: Final[dict[str, str]] = {
    EmailTaken.code: "email",
    UsernameTaken.code: "username",
    IdTaken.code: "id",
}
_HASH_DIFFERS: Final = Rejected(
    (
        FieldError(
            HASH_FIELD,
            "password_hash_differs",
            "is not that of this user, who is there already; no import changes a password or gives one to them",
        ),
    )
)


class UserImport:
    """One run of an import, in batches, in the order of the file.

    A record with an unknown email is added, in one commit with its password hash. Its id, version and times are
    restored exactly. A record that matches the stored user counts as present; any difference is rejected. A run that
    was interrupted can therefore be repeated.

    No stored password is ever replaced, and no existing user gets one. A hash that is weaker than new ones matches if
    the stored hash is a new one: a sign-in has probably renewed it.

    A dry run makes the same checks and writes nothing, with two limitations. It cannot foresee conflicts with
    concurrent writers. And beyond some hundred thousand records it forgets the earliest ones, so it misses distant
    duplicates.
    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        ids: IdSource,
        domain_names: DomainNames,
        hasher: PasswordHasher,
        *,
        dry_run: bool = False,
    ) -> None:
        self._clock = clock
        self._parser = RecordParser(ids, domain_names, hasher)
        self._target: _Target = _DryRun(storage, hasher) if dry_run else _Store(storage, hasher)
        self._may_expect_new = not dry_run  # a dry run adds nothing that could conflict
        self._expects_new = self._may_expect_new

    async def parse(self, records: Sequence[RawRecord | Rejected]) -> Sequence[Parsed]:
        """Validate up to `BATCH` records, some of which may already be rejected.

        Yields to other tasks regularly, such as one that stores the previous batch.
        """
        if len(records) > BATCH:
            raise ValueError(f"an import takes at most {BATCH} records at a time")
        parsed: list[Parsed] = []
        now = truncate_to_milliseconds(self._clock.now())
        for raw in records:
            if len(parsed) % _PARSE_BATCH_SIZE == 0:
                await sleep(0)
            if isinstance(raw, Rejected):
                parsed.append(raw)
                continue
            try:
                parsed.append(self._parser.parse(raw, now))
            except InvalidInput as error:
                parsed.append(Rejected(error.errors))
        return parsed

    async def store(self, records: Sequence[Parsed]) -> Sequence[Outcome]:
        """Import parsed records, after all previous batches; return the outcome of each, in order.

        A record whose outcome is "added" is durable. Raises what the storage port raises. Part of the batch may have
        been added then; importing the batch again completes it.
        """
        outcomes: dict[int, Outcome] = {}
        parsed: dict[int, ParsedRecord] = {}
        for place, record in enumerate(records):
            if isinstance(record, Rejected):
                outcomes[place] = record
            else:
                parsed[place] = record
        while parsed:
            first = _without_repetitions(parsed)
            settled = (await self._all_added(first) if self._expects_new else None) or await self._settle(first)
            self._expects_new = self._may_expect_new and set(settled.values()) == {Imported.ADDED}
            outcomes |= settled
            parsed = {place: record for place, record in parsed.items() if place not in outcomes}
        return [outcomes[place] for place in range(len(records))]

    async def _all_added(self, parsed: dict[int, ParsedRecord]) -> dict[int, Outcome] | None:
        """Add all records without looking them up; return None if some exist. In most files, all or none do."""
        try:
            await self._target.add(list(parsed.values()))
        except _CONFLICTS:
            return None
        return dict.fromkeys(parsed, Imported.ADDED)

    async def _settle(self, parsed: dict[int, ParsedRecord]) -> dict[int, Outcome]:
        outcomes = await self._known(parsed)
        fresh = {place: record for place, record in parsed.items() if place not in outcomes}
        if not fresh:
            return outcomes
        try:
            await self._target.add(list(fresh.values()))
        except _CONFLICTS as error:
            # One record conflicts. Halving finds it in few steps, and each half is looked up again.
            if len(fresh) == 1:
                return outcomes | ((await self._known(fresh)) or {place: _refused(error) for place in fresh})
            for half in _halves(fresh):
                outcomes |= await self._settle(half)
            return outcomes
        return outcomes | dict.fromkeys(fresh, Imported.ADDED)

    async def _known(self, parsed: dict[int, ParsedRecord]) -> dict[int, Outcome]:
        known = await self._target.known(list(parsed.values()))
        return {place: outcome for place, outcome in zip(parsed, known, strict=True) if outcome}


class _Target(Protocol):
    """Where an import adds users: the storage, or a dry run."""

    async def known(self, records: Sequence[ParsedRecord]) -> Sequence[Outcome | None]:
        """Return an outcome for each record with a known email: present or rejected; None for the others."""
        ...

    async def add(self, records: Sequence[ParsedRecord]) -> None:
        """Add all records or none. Raise one of `_CONFLICTS`."""
        ...


class _Store:
    """Writes to the storage."""

    def __init__(self, storage: Storage, hasher: PasswordHasher) -> None:
        self._storage = storage
        self._hasher = hasher

    async def known(self, records: Sequence[ParsedRecord]) -> Sequence[Outcome | None]:
        unit = self._storage.unit_of_work()
        emails: list[Email] = [record.user.email for record in records]
        by_email = {user.email.canonical: user for user in await unit.users.find_by_emails(emails)}
        stored = [by_email.get(record.user.email.canonical) for record in records]
        outcomes = list(map(_compared, records, stored))
        # Reads one credential per record, so it is done only where everything else matches.
        hashes = {
            place: (user, record.password_hash)
            for place, (record, user) in enumerate(zip(records, stored, strict=True))
            if user and record.password_hash and outcomes[place] is Imported.ALREADY_THERE
        }
        credentials = await credentials_of([user for user, _ in hashes.values()], unit.records(CREDENTIALS))
        for (place, (_, password_hash)), credential in zip(hashes.items(), credentials, strict=True):
            if not self._agree(password_hash, credential):
                outcomes[place] = _HASH_DIFFERS
        return outcomes

    async def add(self, records: Sequence[ParsedRecord]) -> None:
        unit = self._storage.unit_of_work()
        for record in records:
            unit.users.add(record.user)
        for record in records:
            if record.credential:
                unit.records(CREDENTIALS).add(record.credential)
        await unit.commit()

    def _agree(self, password_hash: str, credential: Credential | None) -> bool:
        if credential is None:
            return False
        if credential.password_hash == password_hash:
            return True
        return self._hasher.is_outdated(password_hash) and not self._hasher.is_outdated(credential.password_hash)


class _DryRun(_Store):
    """Only looks users up: in the storage, and among those that an import would have added before.

    Of the latter it keeps hashes, which are small and practically unique.
    """

    def __init__(self, storage: Storage, hasher: PasswordHasher) -> None:
        super().__init__(storage, hasher)
        self._seen: set[int] = set()

    async def known(self, records: Sequence[ParsedRecord]) -> Sequence[Outcome | None]:
        stored = await super().known(records)
        return [outcome or self._known_from_file(record) for outcome, record in zip(stored, records, strict=True)]

    async def add(self, records: Sequence[ParsedRecord]) -> None:
        for record in records:
            if self._has_seen("id", record.user.id):
                raise IdTaken
            if record.user.username and self._has_seen("username", record.user.username.canonical):
                raise UsernameTaken
        users = self._storage.unit_of_work().users
        if any(await gather(*(users.get(record.user.id) for record in records if "id" in record.given))):
            raise IdTaken
        usernames = (record.user.username for record in records)
        if any(await gather(*(users.find_by_username(username) for username in usernames if username))):
            raise UsernameTaken
        for record in records:
            self._remember(record)

    def _known_from_file(self, record: ParsedRecord) -> Outcome | None:
        if not self._has_seen("email", record.user.email.canonical):
            return None
        if not self._has_seen("record", _said(record)):
            return _refused(EmailTaken())
        return Imported.ALREADY_THERE if self._agrees_with_file(record) else _HASH_DIFFERS

    def _agrees_with_file(self, record: ParsedRecord) -> bool:
        email, password_hash = record.user.email.canonical, record.password_hash
        if password_hash is None or self._has_seen("hash", (email, password_hash)):
            return True
        return self._hasher.is_outdated(password_hash) and self._has_seen("hash of today", email)

    def _has_seen(self, kind: str, value: Hashable) -> bool:
        return hash((kind, value)) in self._seen

    def _remember(self, record: ParsedRecord) -> None:
        if len(self._seen) >= _MAX_REMEMBERED:
            self._seen.clear()
        keys: list[tuple[str, Hashable]] = [("email", record.user.email.canonical), ("record", _said(record))]
        if "id" in record.given:
            keys.append(("id", record.user.id))
        if record.user.username:
            keys.append(("username", record.user.username.canonical))
        if record.password_hash:
            keys.append(("hash", (record.user.email.canonical, record.password_hash)))
            if not self._hasher.is_outdated(record.password_hash):
                keys.append(("hash of today", record.user.email.canonical))
        self._seen.update(map(hash, keys))


def _without_repetitions(parsed: dict[int, ParsedRecord]) -> dict[int, ParsedRecord]:
    """Postpone records that repeat an id, email or username: they must see the outcome of the first."""
    ids: set[str] = set()
    emails: set[str] = set()
    usernames: set[str] = set()
    first: dict[int, ParsedRecord] = {}
    for place, record in parsed.items():
        user = record.user
        username = user.username.canonical if user.username else None
        if user.id in ids or user.email.canonical in emails or username in usernames:
            continue
        first[place] = record
        ids.add(user.id)
        emails.add(user.email.canonical)
        if username:
            usernames.add(username)
    return first


def _halves(records: dict[int, ParsedRecord]) -> Iterator[dict[int, ParsedRecord]]:
    items = list(records.items())
    middle = len(items) // 2
    yield dict(items[:middle])
    yield dict(items[middle:])


def _compared(record: ParsedRecord, stored: User | None) -> Outcome | None:
    if stored is None:
        return None
    return Imported.ALREADY_THERE if record.describes(stored) else _refused(EmailTaken())


def _refused(error: DomainError) -> Rejected:
    return Rejected((FieldError(_FIELD_IN_CONFLICT[error.code], error.code, str(error)),))


def _said(record: ParsedRecord) -> Hashable:
    given: Iterable[str] = sorted(record.given)
    return tuple((field, getattr(record.user, field)) for field in given)
