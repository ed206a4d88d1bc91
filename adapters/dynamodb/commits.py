from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from uuid import uuid4

from adapters.dynamodb.actions import Action, fits_in_one
from adapters.dynamodb.client import MAX_PAUSE_SECONDS, RETRY_SECONDS
from adapters.dynamodb.failures import ConditionCheckFailed
from adapters.dynamodb.intents import WriteIntents
from adapters.dynamodb.items import Image, Key, is_listed
from adapters.dynamodb.removals import UserRemovals
from adapters.dynamodb.table import Table
from adapters.dynamodb.transaction_plan import TransactionPlan, UnpurgedUser, UnreadItems
from adapters.resilience import Backoff
from domain.errors import DomainError


@dataclass(frozen=True, slots=True)
class Write:
    """A staged write, and the item that has to be read for it; everything else is presumed at first."""

    apply: Callable[[TransactionPlan], None]
    reads: Key | None = None


class Committer:
    def __init__(self, table: Table, intents: WriteIntents, removals: UserRemovals) -> None:
        self._table = table
        self._intents = intents
        self._removals = removals

    async def commit(self, writes: Sequence[Write]) -> None:
        """Plan the writes and send the plan, again for as long as items differ from what it presumed."""
        rev = uuid4().hex
        facts: dict[Key, Image | None] = {}
        backoff = Backoff(MAX_PAUSE_SECONDS, RETRY_SECONDS)
        wanted = {write.reads for write in writes if write.reads}
        refused = False
        while True:
            await self._learn(facts, wanted, backoff)
            try:
                plan = _planned(writes, TransactionPlan(rev, facts))
                if refused:
                    await backoff.pause()
                await self._send(plan.actions())
                break
            except UnreadItems as unread:
                wanted |= unread.keys
            except UnpurgedUser as unpurged:
                await self._removals.purge(unpurged.user_id)
                facts.clear()
                await backoff.pause()
            except ConditionCheckFailed as error:
                refused = True
                await self._note(facts, error.found)
        for user_id in plan.removed_users:
            await self._removals.begin(user_id)

    async def _send(self, actions: Sequence[Action]) -> None:
        if fits_in_one(actions) and not _is_seen_in_parts(actions):
            await self._table.transact(actions)
        else:
            await self._intents.commit(actions)

    async def _learn(self, facts: dict[Key, Image | None], wanted: Set[Key], backoff: Backoff) -> None:
        """Read the items that are not known yet."""
        while unknown := wanted - facts.keys():
            found = await self._table.read(unknown)
            await self._note(facts, {key: found.get(key) for key in unknown})
            if not unknown <= facts.keys():
                await backoff.pause()

    async def _note(self, facts: dict[Key, Image | None], found: Mapping[Key, Image | None]) -> None:
        """Take items for facts, except those with a write intent: help to settle it."""
        for key, image in found.items():
            if image and "tx" in image:
                facts.pop(key, None)
                await self._intents.help(key, image)
            else:
                facts[key] = image


def _planned(writes: Sequence[Write], plan: TransactionPlan) -> TransactionPlan:
    """Apply the writes; raises `UnreadItems`, `UnpurgedUser`, and the error of the first write that is refused."""
    try:
        for write in writes:
            write.apply(plan)
    except DomainError:
        if plan.unread:
            raise UnreadItems(plan.unread) from None  # of what an earlier write presumes
        raise
    return plan


def _is_seen_in_parts(actions: Sequence[Action]) -> bool:
    """Return whether several items change that are listed together.

    AWS promises that a query reads what is committed, not that all of it was so at one moment.
    """
    lists = Counter(action.key.pk for action in actions if action.verb != "ConditionCheck" and is_listed(action.key))
    return any(number > 1 for number in lists.values())
