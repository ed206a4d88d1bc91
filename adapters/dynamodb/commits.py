import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import uuid4

from adapters.dynamodb.actions import Action, fits_in_one
from adapters.dynamodb.calls import all_of, pause
from adapters.dynamodb.draft import Draft, Unpurged, Unread
from adapters.dynamodb.failures import Refused
from adapters.dynamodb.intents import Intents
from adapters.dynamodb.items import Image, Key, is_listed
from adapters.dynamodb.removals import Removals
from adapters.dynamodb.table import Table
from domain.errors import DomainError, TooBusy

_PATIENCE_SECONDS: Final = 8


@dataclass(frozen=True, slots=True)
class Write:
    """A staged write, and the item that has to be read for it; what it merely adds to is presumed to be so."""

    apply: Callable[[Draft], None]
    reads: Key | None = None


class _Attempts:
    """What is known of the items that a commit touches, and for how long it may go on trying."""

    def __init__(self) -> None:
        self.facts: dict[Key, Image | None] = {}
        self._failures = 0
        self._deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS

    async def pause(self) -> None:
        """Wait after a failed attempt; raises `TooBusy` when there is to be no other."""
        if asyncio.get_running_loop().time() > self._deadline:
            raise TooBusy
        self._failures += 1
        await pause(self._failures)


class Commits:
    def __init__(self, table: Table, intents: Intents, removals: Removals) -> None:
        self._table = table
        self._intents = intents
        self._removals = removals

    async def commit(self, writes: Sequence[Write]) -> None:
        """Draft what the writes come to, send it, and draft it anew for as long as things were not as presumed."""
        rev = uuid4().hex
        attempts = _Attempts()
        wanted = {write.reads for write in writes if write.reads}
        refused = False
        while True:
            await self._learn(attempts, wanted)
            draft = Draft(rev, attempts.facts)
            try:
                for write in writes:
                    write.apply(draft)
                if refused:
                    await attempts.pause()
                await self._send(draft.actions())
                break
            except Unread as unread:
                wanted.add(unread.key)
            except Unpurged as unpurged:
                await self._removals.purge(unpurged.user_id)
                attempts.facts.clear()
                await attempts.pause()
            except Refused as error:
                refused = True
                await self._note(attempts, error.found)
        with suppress(DomainError):  # the removals themselves are committed, and others can finish them as well
            await all_of(partial(self._removals.purge, user_id) for user_id in draft.removed)

    async def _send(self, actions: Sequence[Action]) -> None:
        if fits_in_one(actions) and not _is_seen_in_parts(actions):
            await self._table.transact(actions)
        else:
            await self._intents.commit(actions)

    async def _learn(self, attempts: _Attempts, wanted: Set[Key]) -> None:
        """Read what is not known yet."""
        while unknown := wanted - attempts.facts.keys():
            found = await self._table.read(unknown)
            await self._note(attempts, {key: found.get(key) for key in unknown})
            if not unknown <= attempts.facts.keys():
                await attempts.pause()

    async def _note(self, attempts: _Attempts, found: Mapping[Key, Image | None]) -> None:
        """Take items for facts, but for those that another commit has marked: help to have them unmarked."""
        for key, image in found.items():
            if image and "tx" in image:
                attempts.facts.pop(key, None)
                await self._intents.help(key, image)
            else:
                attempts.facts[key] = image


def _is_seen_in_parts(actions: Sequence[Action]) -> bool:
    """Tell whether more than one record changes that are listed together.

    AWS promises of a query no more than that all it reads is committed, not that it was so at one moment.
    """
    lists = Counter(action.key.pk for action in actions if action.verb != "ConditionCheck" and is_listed(action.key))
    return any(number > 1 for number in lists.values())
