"""Bugs in the DynamoDB adapter."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.mutation.bug import Bug

_actions = partial(Bug, file="adapters/dynamodb/actions.py", store="dynamodb")
_commits = partial(Bug, file="adapters/dynamodb/commits.py", store="dynamodb")
_plan = partial(Bug, file="adapters/dynamodb/transaction_plan.py", store="dynamodb")
_failures = partial(Bug, file="adapters/dynamodb/failures.py", store="dynamodb")
_intents = partial(Bug, file="adapters/dynamodb/intents.py", store="dynamodb")
_items = partial(Bug, file="adapters/dynamodb/items.py", store="dynamodb")
_repositories = partial(Bug, file="adapters/dynamodb/repositories.py", store="dynamodb")
_rules = partial(Bug, file="adapters/dynamodb/rules.py", store="dynamodb")
_reader = partial(Bug, file="adapters/dynamodb/reader.py", store="dynamodb")
_removals = partial(Bug, file="adapters/dynamodb/removals.py", store="dynamodb")
_storage = partial(Bug, file="adapters/dynamodb/storage.py", store="dynamodb")
_table = partial(Bug, file="adapters/dynamodb/table.py", store="dynamodb")

BUGS: Final[Sequence[Bug]] = (
    _actions(
        what="what is added overwrites what is there",
        where="ABSENT",
        node="Call",
        new="NO_INTENT",
    ),
    _actions(
        what="a save does not look whether the record is still as it was read",
        where="still",
        node="Call 1",
        new="NO_INTENT",
    ),
    _actions(
        what="a record is added whether or not its owner is there",
        where="ALIVE",
        node="Constant",
        new='"attribute_not_exists(#purging) AND attribute_not_exists(#tx)"',
    ),
    _actions(
        what="a commit may have more actions than a transaction",
        where="fits_in_one",
        node="Return",
        new="return sum(action.size for action in actions) <= _MAX_BYTES",
    ),
    _commits(
        what="what was found out by a refusal is forgotten",
        where="Committer.commit",
        node="Await 7",
        new="pass",
    ),
    _commits(
        what="what is staged is planned once and not again after a refusal",
        where="Committer.commit",
        node="Assign 7",
        new="raise error",
    ),
    _commits(
        what="records that are listed together are changed one transaction after the other",
        where="Committer._send",
        node="Await 2",
        new="for start in range(0, len(actions), 100):\n                await self._table.transact(actions[start : start + 100])",
    ),
    _plan(
        what="a write does not see those before it",
        where="TransactionPlan.presumed",
        node="If 1",
        new="pass",
    ),
    _plan(
        what="an owner is presumed although it is known that there is none",
        where="TransactionPlan.has_user",
        node="If 2",
        new="pass",
    ),
    _plan(
        what="what a commit requires and does not write was looked at before, and is not at the commit",
        where="TransactionPlan.actions",
        node="Tuple",
        new="(*self._images, *self._alive)",
    ),
    _failures(
        what="that the table is missing is taken for an outage",
        where="_refusal",
        node="Name 12",
        new="StorageUnavailable",
    ),
    _intents(
        what="a write intent whose commit failed is not taken off",
        where="WriteIntents.commit",
        node="ExceptHandler",
        new="except (ConditionCheckFailed, TooBusy):\n            raise",
    ),
    _intents(
        what="a commit is undone by making it so",
        where="WriteIntents._finish_part",
        node="Name 31",
        new="True",
    ),
    _intents(
        what="what is only checked is deleted",
        where="_with_intent",
        node="If 2",
        new='else:  # an item required to be absent shall not stay\n        values["next"] = None',
    ),
    _reader(
        what="what a commit under way writes is seen as if it were committed",
        where="_Snapshot._image",
        node="IfExp",
        new="next_image(image)",
    ),
    _reader(
        what="a page is as short as DynamoDB's answer",
        where="Reader.query_first.look",
        node="If",
        new="break",
    ),
    _reader(
        what="a large record is read without its parts",
        where="Reader._resolve",
        node="If 1",
        new="return found",
    ),
    _items(
        what="a large record is one item",
        where="in_parts",
        node="Compare 1",
        new="True",
    ),
    _items(
        what="times are not padded, so they sort as texts",
        where="time_text",
        node="JoinedStr 1",
        new='f"{(moment - MIN_TIME) // _MILLISECOND}"',
    ),
    _repositories(
        what="what is due at this very moment is not due",
        where="DynamoDBRecords.due",
        node="JoinedStr 2",
        new="last",
    ),
    _items(
        what="what is due has an order, but not that of the keys",
        where="RecordRef.index",
        node="Attribute 8",
        new="self.key[::-1]",
    ),
    _rules(
        what="a record is saved at any version",
        where="_stored_at",
        node="BoolOp 2",
        new="stored is None",
    ),
    _rules(
        what="a key may be used twice",
        where="add_record",
        node="Call 1",
        new="None",
    ),
    _rules(
        what="a value may be used twice by a save",
        where="_replace_index",
        node="Compare 3",
        new="taken is not None and not before",
    ),
    _rules(
        what="a save keeps the former values and time taken",
        where="_replace_index",
        node="Compare 1",
        new="key not in new and not after",
    ),
    _rules(
        what="a removed record leaves its values in use",
        where="drop_record",
        node="Expr 2",
        new="pass",
    ),
    _rules(
        what="a removed record leaves its key in use",
        where="drop_record",
        node="Expr 3",
        new="pass",
    ),
    _rules(
        what="what belonged to a removed user keeps its key and values taken",
        where="_ensure_free",
        node="BoolOp 2",
        new='stored is not None or owns(plan.known(user_key(holder["owner"])), stored)',
    ),
    _rules(
        what="a record that goes with its owner can be saved by the commit that replaces them",
        where="_stored_at",
        node="BoolOp 3",
        new="False",
    ),
    _rules(
        what="a save leaves the parts of the former body behind",
        where="_replace_index",
        node="For 2",
        new="pass",
        allowed="they are invisible; a crash test of this store checks the whole table",
    ),
    _repositories(
        what="a skip is ignored",
        where="DynamoDBRecords.page",
        node="Slice",
        new=":limit",
    ),
    _repositories(
        what="what belonged to a removed user is found by its key",
        where="DynamoDBRecords._visible",
        node="DictComp",
        new="{\n            ref.key: image for ref, image in found \n        }",
    ),
    _repositories(
        what="a page of all records ends where one that is not seen any more was",
        where="DynamoDBRecords._walk",
        node="Name 40",
        new="records",
    ),
    _repositories(
        what="a count of all includes what belonged to removed users",
        where="DynamoDBRecords.count",
        node="Call 6",
        new="len(pointers)",
    ),
    _repositories(
        what="the records of a removed user are listed",
        where="DynamoDBRecords._of_owner",
        node="UnaryOp",
        new="user is None",
    ),
    _removals(
        what="a purge leaves the keys and values in use",
        where="_transactions",
        node="Tuple 3",
        new="()",
    ),
    _removals(
        what="nothing of a removed user is deleted, and the tombstone is",
        where="UserRemovals.purge.is_deleted",
        node="Await",
        new="True",
    ),
    _removals(
        what="a purge deletes what the commit has written that added the user again",
        where="UserRemovals._some_owned",
        node="GeneratorExp 1",
        new="((key, image) for key, image in images )",
    ),
    _storage(
        what="a failed commit leaves its writes staged",
        where="DynamoDBUnitOfWork.commit",
        node="Expr 1",
        new="pass",
    ),
    _table(
        what="reads may be stale",
        where="Table._query.request",
        node="Constant 5",
        new="False",
        allowed="the local server never reads anything stale; a test of the requests tells, beside the contract",
    ),
    _items(
        what="a prefix may be longer than a key",
        where="search_ranges.fits",
        node="Compare",
        new="True",
    ),
    _items(
        what="names are searched as they are written",
        where="name_key",
        node="Call 2",
        new="image['name']",
    ),
    _items(
        what="an admin who is not active is taken for one who is",
        where="is_active_admin",
        node="BoolOp",
        new='is_user(image) and image["role"] == Role.ADMIN',
    ),
    _items(
        what="an admin is not listed",
        where="UserRef.index",
        node="If 3",
        new="pass",
    ),
    _rules(
        what="a change keeps the former email",
        where="_replace_index",
        node="Compare 1",
        new="key not in new and not (after and isinstance(ref, UserRef))",
    ),
    _rules(
        what="a removed user leaves no tombstone, so records can be added during the purge",
        where="remove_user",
        node="Dict 2",
        new="None",
    ),
    _rules(
        what="what a commit adds for a user whom it removes stays",
        where="remove_user",
        node="Call 5",
        new="pass",
    ),
    _rules(
        what="a user may be required at any version",
        where="require",
        node="Call",
        new="plan.known(ref.item_key)",
    ),
    _repositories(
        what="a user who has several fitting keys comes once for each",
        where="DynamoDBUserRepository._ids_in_ranges",
        node="SetComp",
        new='[image["owner"] for items in found for _, image in items]',
    ),
    _repositories(
        what="a search ends at the first by name, not by id",
        where="DynamoDBUserRepository.search.ids",
        node="Call 1",
        new="list(await self._ids_in_ranges(prefix))",
    ),
    _repositories(
        what="a skip of users is ignored",
        where="DynamoDBUserRepository.page",
        node="Slice",
        new=":limit",
    ),
    _repositories(
        what="the last admins come first",
        where="DynamoDBUserRepository.active_admins",
        node="Name 11",
        new="ADMINS, descending=True",
    ),
)
