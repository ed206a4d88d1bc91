from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from typing import TypeAlias
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

Write: TypeAlias = Callable[[TransactionPlan], None]
"""A staged write, which adds itself to a plan."""


class Committer:
    def __init__(self, table: Table, intents: WriteIntents, removals: UserRemovals) -> None:
        self._table = table
        self._intents = intents
        self._removals = removals

    async def commit(self, writes: Sequence[Write]) -> None:
        """Plan the writes and send the plan; repeat as long as items differ from what the plan presumed.

        Items may become known at different times, with another commit in between. A rejection that rests on several
        items is therefore raised only once a transaction has found them all in this state at the same time.
        """
        rev = uuid4().hex
        facts: dict[Key, Image | None] = {}
        backoff = Backoff(MAX_PAUSE_SECONDS, RETRY_SECONDS)
        refused = False
        while True:
            plan = TransactionPlan(rev, facts)
            try:
                rejection = _apply(writes, plan)
                if refused:
                    await backoff.pause()
                if rejection is None:
                    await self._send(plan.actions())
                    break
                checks = plan.checks()
                if len(checks) > 1:
                    await self._send(checks)
                raise rejection
            except UnreadItems as unread:
                await self._learn(facts, unread.keys, backoff)
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
        while unknown := wanted - facts.keys():
            found = await self._table.read(unknown)
            await self._note(facts, {key: found.get(key) for key in unknown})
            if not unknown <= facts.keys():
                await backoff.pause()

    async def _note(self, facts: dict[Key, Image | None], found: Mapping[Key, Image | None]) -> None:
        """Record items as known. Help to settle those with a write intent instead."""
        for key, image in found.items():
            if image and "tx" in image:
                facts.pop(key, None)
                await self._intents.settle_if_due(key, image)
            else:
                facts[key] = image


def _apply(writes: Sequence[Write], plan: TransactionPlan) -> DomainError | None:
    """Add all writes to a plan, or return the error of the first rejected one.

    Raises `UnreadItems` or `UnpurgedUser`.
    """
    unread: set[Key] = set()
    rejection: DomainError | None = None
    for write in writes:
        try:
            write(plan)
        except UnreadItems as error:
            unread |= error.keys  # continue, so that one call reads all such items
        except DomainError as error:
            unread |= plan.unread  # items that this and earlier writes presume
            rejection = error
            break
    if unread:
        raise UnreadItems(unread)
    return rejection


def _is_seen_in_parts(actions: Sequence[Action]) -> bool:
    """Return whether several items of one listing change.

    A DynamoDB query reads committed data, but not from one moment.
    """
    lists = Counter(action.key.pk for action in actions if action.verb != "ConditionCheck" and is_listed(action.key))
    return any(number > 1 for number in lists.values())
