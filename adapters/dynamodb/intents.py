"""Commits that exceed one transaction of DynamoDB, or that a reader of a range must not see in part.

Such a commit first puts a write intent on each item that it touches, in as many transactions as needed. The item keeps
its attributes, under the conditions of the commit. It gets `tx`, the id of the commit, and `next`, its image after the
commit (None: deleted; no `next`: unchanged). Then one conditional write decides the commit: it changes its state from
pending to committed. Finally each item gets its next image and loses the intent.

A reader that finds an intent reads that state: if it is committed, `next` counts, otherwise the previous image. A
writer never touches an item with an intent, because all its conditions exclude that. It helps instead: it settles the
intents of a decided commit, and aborts a commit that is overdue because its process died. A commit is therefore all or
nothing wherever it is interrupted.

An intent can only be set while its part of the commit is recorded and open. Undoing a commit closes each part before
looking for its intents, so none can be set late and remain. The state is deleted last: an intent whose commit has no
state has been settled since.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from time import time
from typing import Final
from uuid import uuid4

from adapters.dynamodb.actions import ABSENT, Action, Expression, split
from adapters.dynamodb.failures import ConditionCheckFailed
from adapters.dynamodb.items import Image, Key
from adapters.dynamodb.table import Range, Table
from adapters.resilience import gather_bounded
from domain.errors import DomainError, TooBusy

_DECISION_SECONDS: Final = 10.0
_SECONDS_PER_PART: Final = 0.25
"""When a commit becomes overdue. It need not be exact, because there is only one decision."""

_IS_PENDING: Final = Expression("#state = :pending", {"pending": "pending"})
_IS_OPEN: Final = Expression("attribute_exists(#pk) AND attribute_not_exists(#closed)")


class WriteIntents:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def commit(self, actions: Sequence[Action]) -> None:
        """Apply any number of actions, all or nothing. Raises `ConditionCheckFailed` as a transaction does."""
        tx = uuid4().hex
        parts = list(split((_with_intent(tx, action) for action in actions), spare=1))
        await self._open(tx, parts)
        try:
            await gather_bounded(partial(self._set_intents, tx, number, part) for number, part in enumerate(parts))
            await self._decide(tx, "committed")
        except (ConditionCheckFailed, TooBusy):
            await self.finish(tx)
            raise
        with suppress(DomainError):  # it is committed, and other processes can settle it
            await gather_bounded(
                partial(
                    self._settle, tx, {action.key: _intent_of(action) for action in part}, True, _part_key(tx, number)
                )
                for number, part in enumerate(parts)
            )
            await self._table.transact([Action("Delete", _state_key(tx))])

    async def decisions(self, transactions: Collection[str]) -> dict[str, bool]:
        """Return whether each of these is committed, omitting settled ones."""
        states = await self._table.read([_state_key(tx) for tx in transactions])
        return {key.sk: state["state"] == "committed" for key, state in states.items()}

    async def settle_if_due(self, key: Key, held: Image) -> None:
        """Settle an intent if its commit is decided or overdue; otherwise the caller must wait."""
        tx = held["tx"]
        state = (await self._table.read([_state_key(tx)])).get(_state_key(tx))
        if state is None:
            return
        if state["until"] < time():
            await self.finish(tx)
        elif state["state"] != "pending":
            await self._settle(tx, {key: held}, state["state"] == "committed")

    async def finish(self, tx: str) -> None:
        """Abort a commit unless it is decided, and settle all its intents."""
        try:
            await self._decide(tx, "aborted")
            committed = False
        except ConditionCheckFailed as refused:
            state = refused.found[_state_key(tx)]
            if state is None:
                return
            committed = state["state"] == "committed"
        parts = await self._table.query_all(Range(_parts(tx)))
        await gather_bounded(partial(self._finish_part, tx, key, part, committed) for key, part in parts)
        await self._table.transact([Action("Delete", _state_key(tx))])

    async def finish_overdue(self) -> None:
        for key, state in await self._table.query_all(Range(_state_key("").pk)):
            if state["until"] < time():
                await self.finish(key.sk)

    async def _open(self, tx: str, parts: Sequence[Sequence[Action]]) -> None:
        records = [
            Action("Put", _part_key(tx, number), image={"keys": [list(action.key) for action in part]})
            for number, part in enumerate(parts)
        ]
        until = int(time() + _DECISION_SECONDS + _SECONDS_PER_PART * len(parts))
        first = Action("Put", _state_key(tx), ABSENT, {"state": "pending", "until": until})
        for some in split(records, spare=1):
            await self._table.transact([first, *some])
            first = Action("ConditionCheck", _state_key(tx), _IS_PENDING)

    async def _set_intents(self, tx: str, number: int, part: Sequence[Action]) -> None:
        try:
            await self._table.transact([Action("ConditionCheck", _part_key(tx, number), _IS_OPEN), *part])
        except ConditionCheckFailed as refused:
            raise ConditionCheckFailed(
                {key: image for key, image in refused.found.items() if key.pk != _parts(tx)}
            ) from None

    async def _decide(self, tx: str, decision: str) -> None:
        change = Expression("SET #state = :decision", {"decision": decision})
        await self._table.transact([Action("Update", _state_key(tx), _IS_PENDING, change=change)])

    async def _finish_part(self, tx: str, part_key: Key, part: Image, committed: bool) -> None:
        if not committed:
            closing = Expression("SET #closed = :closed", {"closed": True})
            try:
                await self._table.transact(
                    [Action("Update", part_key, Expression("attribute_exists(#pk)"), change=closing)]
                )
            except ConditionCheckFailed:
                return  # another process has finished it
        items = await self._table.read([Key(*key) for key in part["keys"]])
        held = {key: image for key, image in items.items() if image.get("tx") == tx}
        await self._settle(tx, held, committed, part_key)

    async def _settle(self, tx: str, held: Mapping[Key, Image], committed: bool, part_key: Key | None = None) -> None:
        """Give items their final image without the intent; delete the record of their part with the last ones."""
        left = {key: _settled(tx, key, image, committed) for key, image in held.items()}
        record = [Action("Delete", part_key)] if part_key else []
        while True:
            parts = list(split(left.values(), spare=1)) or [()]
            try:
                for part in parts[:-1]:
                    await self._table.transact(part)
                actions = [*parts[-1], *record]
                if actions:
                    await self._table.transact(actions)
            except ConditionCheckFailed as refused:
                for key in refused.found:
                    del left[key]  # another process has settled it
            else:
                return


def next_image(held: Image) -> Image | None:
    """Return the image of an item with an intent if its commit is applied."""
    if "next" not in held:
        return previous_image(held)
    image: Image | None = held["next"]
    return image


def previous_image(held: Image) -> Image | None:
    """Return the image of an item with an intent before the commit; None if it did not exist."""
    return {name: value for name, value in held.items() if name not in {"tx", "next"}} or None


def _with_intent(tx: str, action: Action) -> Action:
    values: dict[str, object] = {"tx": tx}
    if action.verb == "Put":
        values["next"] = action.image
    elif action.verb == "Delete" or action.condition is ABSENT:  # an item required to be absent must not remain
        values["next"] = None
    change = Expression("SET " + ", ".join(f"#{name} = :{name}" for name in values), values)
    return replace(action, verb="Update", image={}, change=change)


def _intent_of(setting: Action) -> Image:
    return setting.change.values if setting.change else {}


def _settled(tx: str, key: Key, held: Image, committed: bool) -> Action:
    ours = Expression("#tx = :tx", {"tx": tx})
    is_written = committed and "next" in held
    if is_written and held["next"] is not None:
        return Action("Put", key, ours, held["next"])
    if is_written or (not committed and previous_image(held) is None):
        return Action("Delete", key, ours)
    return Action("Update", key, ours, change=Expression("REMOVE #tx, #next"))


def _state_key(tx: str) -> Key:
    return Key("transactions", tx)


def _parts(tx: str) -> str:
    return f"transaction#{tx}"


def _part_key(tx: str, number: int) -> Key:
    return Key(_parts(tx), f"{number:06}")
