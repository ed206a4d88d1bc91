"""Mistakes in the DynamoDB adapter."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.mutation.bug import Bug

_actions = partial(Bug, file="adapters/dynamodb/actions.py", store="dynamodb")
_commits = partial(Bug, file="adapters/dynamodb/commits.py", store="dynamodb")
_plan = partial(Bug, file="adapters/dynamodb/transaction_plan.py", store="dynamodb")
_failures = partial(Bug, file="adapters/dynamodb/failures.py", store="dynamodb")
_intents = partial(Bug, file="adapters/dynamodb/intents.py", store="dynamodb")
_record_items = partial(Bug, file="adapters/dynamodb/record_items.py", store="dynamodb")
_record_rules = partial(Bug, file="adapters/dynamodb/record_rules.py", store="dynamodb")
_records = partial(Bug, file="adapters/dynamodb/records.py", store="dynamodb")
_reader = partial(Bug, file="adapters/dynamodb/reader.py", store="dynamodb")
_removals = partial(Bug, file="adapters/dynamodb/removals.py", store="dynamodb")
_storage = partial(Bug, file="adapters/dynamodb/storage.py", store="dynamodb")
_table = partial(Bug, file="adapters/dynamodb/table.py", store="dynamodb")
_user_items = partial(Bug, file="adapters/dynamodb/user_items.py", store="dynamodb")
_user_rules = partial(Bug, file="adapters/dynamodb/user_rules.py", store="dynamodb")
_users = partial(Bug, file="adapters/dynamodb/users.py", store="dynamodb")

BUGS: Final[Sequence[Bug]] = (
    _actions(
        what="what is added overwrites what is there",
        old='ABSENT: Final = Expression("attribute_not_exists(#pk)")',
        new="ABSENT: Final = NO_INTENT",
    ),
    _actions(
        what="a save does not look whether the record is still as it was read",
        old='    return Expression(" AND ".join((*equal, NO_INTENT.text)), same)',
        new="    return NO_INTENT",
    ),
    _actions(
        what="a record is added whether or not its owner is there",
        old='ALIVE: Final = Expression("attribute_exists(#version) AND ',
        new='ALIVE: Final = Expression("',
    ),
    _actions(
        what="a commit may have more actions than a transaction",
        old="return len(actions) <= MAX_ACTIONS and",
        new="return",
    ),
    _commits(
        what="what was found out by a refusal is forgotten",
        old="                await self._note(facts, error.found)",
        new="                pass",
    ),
    _commits(
        what="what is staged is planned once and not again after a refusal",
        old="                refused = True\n",
        new="                raise TooBusy from error\n",
    ),
    _commits(
        what="records that are listed together are changed one transaction after the other",
        old="            await self._intents.commit(actions)",
        new="            for start in range(0, len(actions), 100):\n"
        "                await self._table.transact(actions[start : start + 100])",
    ),
    _plan(
        what="a write does not see those before it",
        old="        if key in self._images:\n            return self._images[key]\n",
        new="",
    ),
    _plan(
        what="an owner is presumed although it is known that there is none",
        old="        if key in self._facts and not is_user(fact):\n            return False\n",
        new="",
    ),
    _plan(
        what="what a commit requires and does not write was looked at before, and is not at the commit",
        old="dict.fromkeys((*self._images, *self._expected, *self._alive))",
        new="dict.fromkeys((*self._images, *self._alive))",
    ),
    _failures(
        what="that the table is missing is taken for an outage",
        old="return Failure(StorageNotPrepared(), False, error)",
        new="return Failure(StorageUnavailable(), False, error)",
    ),
    _intents(
        what="a write intent whose commit failed is not taken off",
        old="            await self.finish(tx)\n            raise",
        new="            raise",
    ),
    _intents(
        what="a commit is undone by making it so",
        old="held if committed else {key: _undone(image) for key, image in held.items()}",
        new="held",
    ),
    _intents(
        what="what is only checked is deleted",
        old='    elif action.verb == "Delete" or action.condition is ABSENT:',
        new="    else:",
    ),
    _reader(
        what="what a commit under way writes is seen as if it were committed",
        old='        return next_image(image) if image["tx"] in self._committed else previous_image(image)',
        new="        return next_image(image)",
    ),
    _reader(
        what="a page is as short as DynamoDB's answer",
        old="                if start is None:\n                    break",
        new="                break",
    ),
    _reader(
        what="a large record is read without its parts",
        old="        if not keys:\n            return found",
        new="        return found",
    ),
    _record_items(
        what="a large record is one item",
        old="    if _MAX_BYTES_PER_CHARACTER * len(body) <= _MAX_INLINE_BYTES or",
        new="    if True or",
    ),
    _record_items(
        what="times are not padded, so they sort as texts",
        old="// _MILLISECOND:0{_TIME_DIGITS}}",
        new="// _MILLISECOND}",
    ),
    _record_items(
        what="what is due at this very moment is not due",
        old='before=f"{time_text(moment)}$")',
        new="before=time_text(moment))",
    ),
    _record_items(
        what="what is due has an order, but not that of the keys",
        old="f\"{image['due']}#{self.key}\"",
        new="f\"{image['due']}#{self.key[::-1]}\"",
    ),
    _record_rules(
        what="a record is saved at any version",
        old='    if stored is None or stored["version"] != version:',
        new="    if stored is None:",
    ),
    _record_rules(
        what="a key may be used twice",
        old="    _claim(plan, ref, ref.pointer_key, IdTaken)",
        new="    plan.put(ref.pointer_key, ref.index_image)",
    ),
    _record_rules(
        what="a value may be used twice by a save",
        old="    _claim_unique(plan, ref, image, before)\n",
        new="    for key in ref.unique_keys(image):\n        plan.put(key, ref.index_image)\n",
    ),
    _record_rules(
        what="a save keeps the former values and time taken",
        old="[key for key in before if key not in after]",
        new="[]",
    ),
    _record_rules(
        what="a removed record leaves its values in use",
        old="        _free(plan, ref, ref.index_keys(stored), stored)",
        new="        _free(plan, ref, [], stored)",
    ),
    _record_rules(
        what="a removed record leaves its key in use",
        old="        plan.put(ref.pointer_key, None)\n",
        new="",
    ),
    _record_rules(
        what="what belonged to a removed user keeps its key and values taken",
        old="        if stored is not None and owns(",
        new="        if stored is not None or owns(",
    ),
    _record_rules(
        what="a record that goes with its owner can be saved by the commit that replaces them",
        old='        if plan.replaces(ref.owner_key) and stored["rev"] != plan.rev:',
        new="        if False:",
    ),
    _record_rules(
        what="a save leaves the parts of the former body behind",
        old="    for key in ref.part_keys(stored):\n        plan.put(key, None)\n",
        new="",
        allowed="nobody finds them; a crash test of this store looks at all that is in the table",
    ),
    _records(
        what="a skip is ignored",
        old="found[skip:enough]",
        new="found[:limit]",
    ),
    _records(
        what="what belonged to a removed user is found by its key",
        old="if ref.owner_key is None or owns(images.get(ref.owner_key), image)",
        new="",
    ),
    _records(
        what="a page of all records ends where one that is not seen any more was",
        old="            if len(batch) < number:",
        new="            if len(records) < number:",
    ),
    _records(
        what="a count of all includes what belonged to removed users",
        old='sum(pointer["owner"] not in removed for _, pointer in pointers)',
        new="len(pointers)",
    ),
    _records(
        what="the records of a removed user are listed",
        old="            if user is None or not is_user(user):\n                return None\n",
        new="            if user is None:\n                return None\n",
    ),
    _removals(
        what="a purge leaves the keys and values in use",
        old="others = (*ref.index_keys(image), *ref.part_keys(image), ref.pointer_key)",
        new="others = ()",
    ),
    _removals(
        what="nothing of a removed user is deleted, and the tombstone is",
        old="        is_deleted = await self._delete([record for records in found for record in records])",
        new="        is_deleted = True",
    ),
    _removals(
        what="a purge deletes what the commit has written that added the user again",
        old='if image.get("rev") != purging or "tx" in image)',
        new=")",
    ),
    _storage(
        what="a failed commit leaves its writes staged",
        old="        self._staged.clear()\n        if writes:\n            await self._committer.commit(writes)",
        new="        if writes:\n            await self._committer.commit(writes)\n        self._staged.clear()",
    ),
    _table(
        what="reads may be stale",
        old='            "ConsistentRead": True,\n            "ScanIndexForward"',
        new='            "ConsistentRead": False,\n            "ScanIndexForward"',
        allowed="the local server never reads anything stale; a test of the requests tells, beside the contract",
    ),
    _user_items(
        what="a prefix may be longer than a key",
        old="    fits = len(prefix.encode()) <= _MAX_SORT_KEY_BYTES\n",
        new="    fits = True\n",
    ),
    _user_items(
        what="names are searched as they are written",
        old="{fold(image['name'])}",
        new="{image['name']}",
    ),
    _user_items(
        what="an empty bio is taken for none",
        old="None if user.bio is None else str(user.bio)",
        new="str(user.bio) if user.bio else None",
    ),
    _user_items(
        what="an admin who is not active is taken for one who is",
        old='is_user(image) and bool(image["active"]) and image',
        new="is_user(image) and image",
    ),
    _user_items(
        what="an admin is not listed",
        old="        keys.append(admin_key(user_id))",
        new="        pass",
    ),
    _user_rules(
        what="a change keeps the former email",
        old="    _free(plan, user.id, before - after)\n",
        new="",
    ),
    _user_rules(
        what="a removed user leaves no tombstone, so that records can be added meanwhile",
        old='        plan.put(key, {"rev": plan.rev, "purging": plan.rev})',
        new="        plan.put(key, None)",
    ),
    _user_rules(
        what="what a commit adds for a user whom it removes stays",
        old="                drop_record(plan, RecordRef(items.record_type, user.id, written.sk))",
        new="                pass",
    ),
    _user_rules(
        what="a user may be required at any version",
        old="def require_user(plan: TransactionPlan, user: User) -> None:\n    _user_at(plan, user.id, user.version)",
        new="def require_user(plan: TransactionPlan, user: User) -> None:\n    plan.known(user_key(user.id))",
    ),
    _users(
        what="a user who has several fitting keys comes once for each",
        old='        return {image["owner"] for items in found for _, image in items}',
        new='        return [image["owner"] for items in found for _, image in items]',
    ),
    _users(
        what="a search ends at the first by name, not by id",
        old="ids = sorted(await self._ids_in_ranges(prefix), reverse=descending)",
        new="ids = list(await self._ids_in_ranges(prefix))",
    ),
    _users(
        what="a skip of users is ignored",
        old="user_from(key.sk, image) for key, image in found[skip:]]",
        new="user_from(key.sk, image) for key, image in found[:limit]]",
    ),
    _users(
        what="the last admins come first",
        old="Range(ADMINS), limit",
        new="Range(ADMINS, descending=True), limit",
    ),
)
