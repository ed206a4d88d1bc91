"""Mistakes in the DynamoDB adapter."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.mutation.bug import Bug

_actions = partial(Bug, file="adapters/dynamodb/actions.py", store="dynamodb")
_commits = partial(Bug, file="adapters/dynamodb/commits.py", store="dynamodb")
_draft = partial(Bug, file="adapters/dynamodb/draft.py", store="dynamodb")
_failures = partial(Bug, file="adapters/dynamodb/failures.py", store="dynamodb")
_intents = partial(Bug, file="adapters/dynamodb/intents.py", store="dynamodb")
_items = partial(Bug, file="adapters/dynamodb/items.py", store="dynamodb")
_reader = partial(Bug, file="adapters/dynamodb/reader.py", store="dynamodb")
_removals = partial(Bug, file="adapters/dynamodb/removals.py", store="dynamodb")
_repositories = partial(Bug, file="adapters/dynamodb/repositories.py", store="dynamodb")
_rules = partial(Bug, file="adapters/dynamodb/rules.py", store="dynamodb")
_sign_ins = partial(Bug, file="adapters/dynamodb/sign_ins.py", store="dynamodb")
_storage = partial(Bug, file="adapters/dynamodb/storage.py", store="dynamodb")
_table = partial(Bug, file="adapters/dynamodb/table.py", store="dynamodb")

BUGS: Final[Sequence[Bug]] = (
    _actions(
        what="what is added overwrites what is there",
        old='ABSENT: Final = Expression("attribute_not_exists(#pk)")',
        new="ABSENT: Final = UNMARKED",
    ),
    _actions(
        what="a save does not look whether the record is still as it was read",
        old="""return Expression(f"#{token} = :{token} AND {UNMARKED.text}", {token: image[token]})""",
        new="return UNMARKED",
    ),
    _actions(
        what="a post is added whether or not its author is there",
        old='ALIVE: Final = Expression("attribute_exists(#version) AND ',
        new='ALIVE: Final = Expression("',
    ),
    _actions(
        what="a commit may have more actions than a transaction",
        old="return len(actions) <= MOST_ACTIONS and",
        new="return",
    ),
    _commits(
        what="what was found out by a refusal is forgotten",
        old="                await self._note(facts, error.found)",
        new="                pass",
    ),
    _commits(
        what="what is staged is drafted once and not again after a refusal",
        old="                refused = True\n",
        new="                raise TooBusy from error\n",
    ),
    _commits(
        what="records that are listed together are changed one transaction after the other",
        old="            await self._intents.commit(actions)",
        new="            for start in range(0, len(actions), 100):\n"
        "                await self._table.transact(actions[start : start + 100])",
    ),
    _draft(
        what="a write does not see those before it",
        old="        if key in self._images:\n            return self._images[key]\n",
        new="",
    ),
    _draft(
        what="an author is presumed although it is known that there is none",
        old="        if key in self._facts and not is_user(fact):\n            return False\n",
        new="",
    ),
    _draft(
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
        what="a mark whose commit failed is not taken off",
        old="            await self.finish(tx)\n            raise",
        new="            raise",
    ),
    _intents(
        what="a commit is undone by making it so",
        old="marked if committed else {key: _undone(image) for key, image in marked.items()}",
        new="marked",
    ),
    _intents(
        what="what is only checked is deleted",
        old='    elif action.verb == "Delete" or action.condition is ABSENT:',
        new="    else:",
    ),
    _items(
        what="a prefix may be longer than a key",
        old="    fits = len(prefix.encode()) <= _LONGEST_SORT_KEY\n",
        new="    fits = True\n",
    ),
    _items(
        what="names are searched as they are written",
        old="{fold(image['name'])}",
        new="{image['name']}",
    ),
    _items(
        what="an empty bio is taken for none",
        old="None if user.bio is None else str(user.bio)",
        new="str(user.bio) if user.bio else None",
    ),
    _items(
        what="an admin who is not active is taken for one who is",
        old='is_user(image) and bool(image["active"]) and image',
        new="is_user(image) and image",
    ),
    _items(
        what="sessions stay when their user is removed",
        old="{posts_of(user_id): post_keys, sessions_of(user_id): session_keys}",
        new="{posts_of(user_id): post_keys}",
    ),
    _items(
        what="what expires at this very moment has not expired",
        old="{_milliseconds(moment) + 1:0",
        new="{_milliseconds(moment):0",
    ),
    _items(
        what="no place comes back as an empty one",
        old='        "place": session.place,\n',
        new='        "place": session.place or "",\n',
    ),
    _reader(
        what="what is marked by a commit under way is seen as if it were committed",
        old='        return next_image(image) if image["tx"] in self._committed else previous_image(image)',
        new="        return next_image(image)",
    ),
    _reader(
        what="a page is as short as DynamoDB's answer",
        old="                if start is None:\n                    break",
        new="                break",
    ),
    _removals(
        what="posts stay when their author is removed",
        old='elif await self._delete_belongings(user_id, user["purging"]) and await',
        new="elif await",
    ),
    _removals(
        what="a purge leaves the ids of posts in use",
        old="self._table.transact([*doomed, *pointers.values()])",
        new="self._table.transact(doomed)",
    ),
    _repositories(
        what="a user who has several fitting keys comes once for each",
        old='        return {image["owner"] for items in found for _, image in items}',
        new='        return [image["owner"] for items in found for _, image in items]',
    ),
    _repositories(
        what="a search ends at the first by name, not by id",
        old="ids = sorted(await self._ids_in_ranges(prefix), reverse=descending)",
        new="ids = list(await self._ids_in_ranges(prefix))",
    ),
    _repositories(
        what="a skip is ignored",
        old="user_from(key.sk, image) for key, image in found[skip:]]",
        new="user_from(key.sk, image) for key, image in found[:limit]]",
    ),
    _repositories(
        what="the last admins come first",
        old="Range(ADMINS), limit",
        new="Range(ADMINS, descending=True), limit",
    ),
    _rules(
        what="a change keeps the former email",
        old="    _free(draft, user.id, before - after)\n",
        new="",
    ),
    _rules(
        what="a removal keeps the credential",
        old="    draft.put(credential_key(user.id), None)\n",
        new="",
    ),
    _rules(
        what="a removed user leaves no mark, so that posts can be added meanwhile",
        old='        draft.put(key, {"rev": draft.rev, "purging": draft.rev})',
        new="        draft.put(key, None)",
    ),
    _rules(
        what="a post is saved at any version",
        old='or stored["version"] != version or',
        new="or",
    ),
    _rules(
        what="an admin is not listed",
        old="        keys.append(admin_key(user_id))",
        new="        pass",
    ),
    _rules(
        what="a user may be required at any version",
        old="def require_user(draft: Draft, user: User) -> None:\n    _user_at(draft, user.id, user.version)",
        new="def require_user(draft: Draft, user: User) -> None:\n    draft.known(user_key(user.id))",
    ),
    _rules(
        what="any credential of a user does for the one that is required",
        old='    if stored is None or stored["password_hash"] != credential.password_hash:',
        new="    if stored is None:",
    ),
    _rules(
        what="a removed session leaves its id in use",
        old="    draft.put(keys.record, None)\n    draft.put(keys.pointer, None)",
        new="    draft.put(keys.record, None)",
    ),
    _rules(
        what="failures that were saved never expire",
        old="    _claim(draft, failures.key, [expiry_key(image, failures.key)])\n    draft.put(failures_key",
        new="    draft.put(failures_key",
    ),
    _rules(
        what="failures are added over those that are there",
        old="    if draft.presumed(key, None) is not None:\n        raise IdTaken\n    image = failures_image",
        new="    image = failures_image",
    ),
    _sign_ins(
        what="those have expired that have not",
        old="after=end_of_expiries(moment), descending=True",
        new="after=end_of_expiries(moment)",
    ),
    _storage(
        what="a failed commit leaves its writes staged",
        old="        self._staged.clear()\n        if writes:\n            await self._commits.commit(writes)",
        new="        if writes:\n            await self._commits.commit(writes)\n        self._staged.clear()",
    ),
    _table(
        what="reads may be stale",
        old='            "ConsistentRead": True,\n            "ScanIndexForward"',
        new='            "ConsistentRead": False,\n            "ScanIndexForward"',
        allowed="the local server never reads anything stale; a test of the requests tells, beside the contract",
    ),
)
