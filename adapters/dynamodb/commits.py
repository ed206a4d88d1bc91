from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from adapters.dynamodb.actions import Action, fits_in_one
from adapters.dynamodb.calls import Patience, all_of
from adapters.dynamodb.draft import Draft, Unpurged, Unread
from adapters.dynamodb.failures import Refused
from adapters.dynamodb.intents import Intents
from adapters.dynamodb.items import Image, Key, is_listed
from adapters.dynamodb.removals import Removals
from adapters.dynamodb.table import Table
from domain.errors import DomainError


@dataclass(frozen=True, slots=True)
class Write:
    """A staged write, and the item that has to be read for it; what it merely adds to is presumed to be so."""

    apply: Callable[[Draft], None]
    reads: Key | None = None


class Commits:
    def __init__(self, table: Table, intents: Intents, removals: Removals) -> None:
        self._table = table
        self._intents = intents
        self._removals = removals

    async def commit(self, writes: Sequence[Write]) -> None:
        """Draft what the writes come to, send it, and draft it anew for as long as things were not as presumed."""
        rev = uuid4().hex
        facts: dict[Key, Image | None] = {}
        patience = Patience()
        wanted = {write.reads for write in writes if write.reads}
        refused = False
        while True:
            await self._learn(facts, wanted, patience)
            draft = Draft(rev, facts)
            try:
                for write in writes:
                    write.apply(draft)
                if refused:
                    await patience.pause()
                await self._send(draft.actions())
                break
            except Unread as unread:
                wanted.add(unread.key)
            except Unpurged as unpurged:
                await self._removals.purge(unpurged.user_id)
                facts.clear()
                await patience.pause()
            except Refused as error:
                refused = True
                await self._note(facts, error.found)
        with suppress(DomainError):  # the removals themselves are committed, and others can finish them as well
            await all_of(partial(self._removals.purge, user_id) for user_id in draft.removed)

    async def _send(self, actions: Sequence[Action]) -> None:
        if fits_in_one(actions) and not _is_seen_in_parts(actions):
            await self._table.transact(actions)
        else:
            await self._intents.commit(actions)

    async def _learn(self, facts: dict[Key, Image | None], wanted: Set[Key], patience: Patience) -> None:
        """Read what is not known yet."""
        while unknown := wanted - facts.keys():
            found = await self._table.read(unknown)
            await self._note(facts, {key: found.get(key) for key in unknown})
            if not unknown <= facts.keys():
                await patience.pause()

    async def _note(self, facts: dict[Key, Image | None], found: Mapping[Key, Image | None]) -> None:
        """Take items for facts, but for those that another commit has marked: help to have them unmarked."""
        for key, image in found.items():
            if image and "tx" in image:
                facts.pop(key, None)
                await self._intents.help(key, image)
            else:
                facts[key] = image


def _is_seen_in_parts(actions: Sequence[Action]) -> bool:
    """Tell whether more than one record changes that are listed together.

    AWS promises of a query no more than that all it reads is committed, not that it was so at one moment.
    """
    lists = Counter(action.key.pk for action in actions if action.verb != "ConditionCheck" and is_listed(action.key))
    return any(number > 1 for number in lists.values())
