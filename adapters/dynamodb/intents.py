"""Commits that one transaction of DynamoDB cannot hold, or that a reader of a whole range must not see by halves.

Such a commit first marks each item that it touches, by as many transactions as that takes: the item keeps its
attributes, under the conditions of the commit, and gets `tx`, the id of the commit, and `next`, the image that it is
to have (none: it is to go; no `next` at all: it stays as it is). Then one conditional write decides: it turns the state
of the commit from pending to committed. Only then do the items become what `next` says and lose the mark.

Readers that meet a mark ask for that state: committed means `next`, anything else what the item was before. Writers
never touch a marked item (every condition of theirs excludes it), but help: they settle what is decided, and decide
against a commit that is overdue because its process died. So a commit ends all or nothing whenever it is cut short.

A mark can only be set while the part of the commit that it belongs to is on record and open. Who undoes a commit
closes each part before looking for its marks; so none can come late and stay for ever. The state goes last: a mark
whose commit has no state is one that has been settled since.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from time import time
from typing import Final
from uuid import uuid4

from adapters.dynamodb.actions import ABSENT, Action, Expression, split
from adapters.dynamodb.calls import all_of
from adapters.dynamodb.failures import Refused
from adapters.dynamodb.items import Image, Key
from adapters.dynamodb.table import Range, Table
from domain.errors import DomainError, TooBusy

_SECONDS: Final = 10.0
_SECONDS_PER_PART: Final = 0.25
"""After these a commit is overdue. It need not be exact: whoever decides, and when, all come to know one decision."""

_IS_PENDING: Final = Expression("#state = :pending", {"pending": "pending"})
_IS_OPEN: Final = Expression("attribute_exists(#pk) AND attribute_not_exists(#closed)")


class WriteIntents:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def commit(self, actions: Sequence[Action]) -> None:
        """Do all or nothing, however many there are; raises `Refused` as a transaction does."""
        tx = uuid4().hex
        parts = list(split((_mark(tx, action) for action in actions), spare=1))
        await self._open(tx, parts)
        try:
            await all_of(partial(self._set_marks, tx, number, part) for number, part in enumerate(parts))
            await self._decide(tx, "committed")
        except (Refused, TooBusy):
            await self.finish(tx)
            raise
        with suppress(DomainError):  # it is committed, and others can finish as well
            await all_of(
                partial(self._settle, tx, {action.key: _marks(action) for action in part}, _part_key(tx, number))
                for number, part in enumerate(parts)
            )
            await self._table.transact([Action("Delete", _state_key(tx))])

    async def decisions(self, transactions: Collection[str]) -> dict[str, bool]:
        """Tell which of them are committed; nothing of those that are settled."""
        states = await self._table.read([_state_key(tx) for tx in transactions])
        return {key.sk: state["state"] == "committed" for key, state in states.items()}

    async def help(self, key: Key, marked: Image) -> None:
        """Take a mark off if its commit is decided or overdue; else there is nothing to do but to wait."""
        tx = marked["tx"]
        state = (await self._table.read([_state_key(tx)])).get(_state_key(tx))
        if state is None:
            return
        if state["until"] < time():
            await self.finish(tx)
        elif state["state"] == "committed":
            await self._settle(tx, {key: marked})
        elif state["state"] == "aborted":
            await self._settle(tx, {key: _undone(marked)})

    async def finish(self, tx: str) -> None:
        """Undo a commit unless it is decided, and take off all its marks."""
        try:
            await self._decide(tx, "aborted")
            committed = False
        except Refused as refused:
            state = refused.found[_state_key(tx)]
            if state is None:
                return
            committed = state["state"] == "committed"
        parts = await self._table.query_all(Range(_parts(tx)))
        await all_of(partial(self._finish_part, tx, key, part, committed) for key, part in parts)
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
        until = int(time() + _SECONDS + _SECONDS_PER_PART * len(parts))
        first = Action("Put", _state_key(tx), ABSENT, {"state": "pending", "until": until})
        for some in split(records, spare=1):
            await self._table.transact([first, *some])
            first = Action("ConditionCheck", _state_key(tx), _IS_PENDING)

    async def _set_marks(self, tx: str, number: int, part: Sequence[Action]) -> None:
        try:
            await self._table.transact([Action("ConditionCheck", _part_key(tx, number), _IS_OPEN), *part])
        except Refused as refused:
            raise Refused({key: image for key, image in refused.found.items() if key.pk != _parts(tx)}) from None

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
            except Refused:
                return  # somebody else has finished it
        items = await self._table.read([Key(*key) for key in part["keys"]])
        marked = {key: image for key, image in items.items() if image.get("tx") == tx}
        await self._settle(
            tx, marked if committed else {key: _undone(image) for key, image in marked.items()}, part_key
        )

    async def _settle(self, tx: str, marked: Mapping[Key, Image], part_key: Key | None = None) -> None:
        """Give items their next image and take off the mark; with the last ones goes the record of their part."""
        left = {key: _settled(tx, key, image) for key, image in marked.items()}
        record = [Action("Delete", part_key)] if part_key else []
        while True:
            parts = list(split(left.values(), spare=1)) or [()]
            try:
                for part in parts[:-1]:
                    await self._table.transact(part)
                actions = [*parts[-1], *record]
                if actions:
                    await self._table.transact(actions)
            except Refused as refused:
                for key in refused.found:
                    del left[key]  # somebody else has settled it
            else:
                return


def next_image(marked: Image) -> Image | None:
    """Make of a marked item what it is once its commit is."""
    if "next" not in marked:
        return previous_image(marked)
    image: Image | None = marked["next"]
    return image


def previous_image(marked: Image) -> Image | None:
    """Make of a marked item what it was before; None when it was not there."""
    return {name: value for name, value in marked.items() if name not in {"tx", "next"}} or None


def _undone(marked: Image) -> Image:
    """Make the mark that settles to what the item was before."""
    kept = {"tx": marked["tx"]}
    return kept if previous_image(marked) else {**kept, "next": None}


def _mark(tx: str, action: Action) -> Action:
    values: dict[str, object] = {"tx": tx}
    if action.verb == "Put":
        values["next"] = action.image
    elif action.verb == "Delete" or action.condition is ABSENT:  # what is held absent is not to stay as a mere mark
        values["next"] = None
    change = Expression("SET " + ", ".join(f"#{name} = :{name}" for name in values), values)
    return replace(action, verb="Update", image={}, change=change)


def _marks(marking: Action) -> Image:
    return marking.change.values if marking.change else {}


def _settled(tx: str, key: Key, marked: Image) -> Action:
    ours = Expression("#tx = :tx", {"tx": tx})
    if "next" not in marked:
        return Action("Update", key, ours, change=Expression("REMOVE #tx, #next"))
    if marked["next"] is None:
        return Action("Delete", key, ours)
    return Action("Put", key, ours, marked["next"])


def _state_key(tx: str) -> Key:
    return Key("transactions", tx)


def _parts(tx: str) -> str:
    return f"transaction#{tx}"


def _part_key(tx: str, number: int) -> Key:
    return Key(_parts(tx), f"{number:06}")
