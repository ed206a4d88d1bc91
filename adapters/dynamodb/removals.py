"""How the posts and sessions of a removed user go, of which there can be more than one transaction takes.

The removal itself is one commit: of the user remains `purging`, the id of that commit, which makes nobody find the
belongings any more, and an entry among the removals. Then these go, part by part, all but those that this very commit
has written (it may have added the user again), and at last the mark `purging` itself. If that is cut short, whoever
comes upon the rest goes on with it: a look for that user, a write that meets it, or `prepare`.
"""

from collections.abc import Callable, Sequence
from functools import partial

from adapters.dynamodb.actions import MOST_ACTIONS, UNMARKED, Action, Expression, still
from adapters.dynamodb.calls import Patience, all_of
from adapters.dynamodb.failures import Refused
from adapters.dynamodb.intents import Intents
from adapters.dynamodb.items import Belonging, Image, belongings_of, is_user, removal_key, user_key
from adapters.dynamodb.table import Range, Table


class Removals:
    def __init__(self, table: Table, intents: Intents) -> None:
        self._table = table
        self._intents = intents

    async def purge(self, user_id: str) -> None:
        """Delete what is left of an earlier user of this id; raises `TooBusy` when others are in the way."""
        key = user_key(user_id)
        patience = Patience()
        while True:
            user = (await self._table.read([key])).get(key)
            if user is None or "purging" not in user:
                return
            if "tx" in user:
                await self._intents.help(key, user)
            elif await self._delete_belongings(user_id, user["purging"]) and await self._close(user_id, user):
                return
            await patience.pause()

    async def purge_all(self) -> None:
        for key, _ in await self._table.query_all(Range(removal_key("").pk)):
            await self.purge(key.sk)

    async def _delete_belongings(self, user_id: str, purging: str) -> bool:
        """Delete all but what is of the commit `purging`; tells whether nothing was in the way."""
        lists = belongings_of(user_id).items()
        return all(await all_of(partial(self._delete_list, user_id, purging, pk, keys_of) for pk, keys_of in lists))

    async def _delete_list(self, user_id: str, purging: str, pk: str, keys_of: Callable[[str, str], Belonging]) -> bool:
        items = await self._table.query_all(Range(pk), only=("pk", "sk", "rev", "tx", "next"))
        marked = [(key, image) for key, image in items if "tx" in image]
        doomed = [
            (keys_of(user_id, key.sk), image) for key, image in items if "tx" not in image and image["rev"] != purging
        ]
        at_once = MOST_ACTIONS // 2
        parts = [doomed[start : start + at_once] for start in range(0, len(doomed), at_once)]
        results = await all_of(partial(self._delete_part, user_id, part) for part in parts)
        for key, image in marked:
            await self._intents.help(key, image)
        return all(results) and not marked

    async def _delete_part(self, user_id: str, belongings: Sequence[tuple[Belonging, Image]]) -> bool:
        doomed = [Action("Delete", keys.record, still(image)) for keys, image in belongings]
        owned = still({"owner": user_id})
        pointers = {keys.pointer: Action("Delete", keys.pointer, owned) for keys, _ in belongings}
        while True:
            try:
                await self._table.transact([*doomed, *pointers.values()])
            except Refused as refused:
                for key, image in refused.found.items():
                    if key not in pointers or (image and "tx" in image):
                        return False
                    del pointers[key]  # the commit that removed the user gave the id to another record
            else:
                return True

    async def _close(self, user_id: str, user: Image) -> bool:
        key = user_key(user_id)
        same = Expression(f"#purging = :purging AND {UNMARKED.text}", {"purging": user["purging"]})
        if is_user(user):
            closing = Action("Update", key, same, change=Expression("REMOVE #purging"))
        else:
            closing = Action("Delete", key, same)
        try:
            await self._table.transact([closing, Action("Delete", removal_key(user_id))])
        except Refused:
            return False
        return True
