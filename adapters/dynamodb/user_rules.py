"""The constraints of users: what each write adds to a plan, and when it is rejected."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from adapters.dynamodb.items import Image, Key
from adapters.dynamodb.record_items import RecordItems, RecordRef
from adapters.dynamodb.record_rules import drop_record
from adapters.dynamodb.transaction_plan import TransactionPlan, UnpurgedUser
from adapters.dynamodb.user_items import is_user, removal_key, user_image, user_index_keys, user_key
from domain.errors import EmailTaken, IdTaken, StaleVersion, UsernameTaken
from domain.user import User

_TAKEN: Final = {"emails": EmailTaken, "usernames": UsernameTaken}


def add_user(plan: TransactionPlan, user: User) -> None:
    key = user_key(user.id)
    stored = plan.presumed(key, None)
    if is_user(stored):
        raise IdTaken
    image = user_image(user, plan.rev)
    _claim(plan, user.id, user_index_keys(user.id, image))
    if stored is not None:
        if stored["purging"] != plan.rev:
            raise UnpurgedUser(user.id)
        image = {**image, "purging": plan.rev}  # records of the earlier user have another `rev`
    plan.put(key, image)


def save_user(plan: TransactionPlan, user: User) -> None:
    stored = _user_at(plan, user.id, user.version - 1)
    image = user_image(user, plan.rev)
    if "purging" in stored:
        image = {**image, "purging": plan.rev}
    before, after = user_index_keys(user.id, stored), user_index_keys(user.id, image)
    _free(plan, user.id, before - after)
    _claim(plan, user.id, after - before)
    plan.put(user_key(user.id), image)


def remove_user(plan: TransactionPlan, user: User, record_items: Sequence[RecordItems[Any]]) -> None:
    """Leave a tombstone, which hides all records of the user and rejects new ones."""
    key = user_key(user.id)
    stored = _user_at(plan, user.id, user.version)
    _free(plan, user.id, user_index_keys(user.id, stored))
    for items in record_items:
        if items.record_type.owner is not None:
            for written in plan.written(items.owned_by(user.id).pk):
                drop_record(plan, RecordRef(items.record_type, user.id, written.sk))
    if plan.was_there(key):
        plan.put(key, {"rev": plan.rev, "purging": plan.rev})
        plan.put(removal_key(user.id), {"owner": user.id})
    else:
        plan.put(key, None)


def require_user(plan: TransactionPlan, user: User) -> None:
    _user_at(plan, user.id, user.version)


def _user_at(plan: TransactionPlan, user_id: str, version: int) -> Image:
    stored = plan.known(user_key(user_id))
    if stored is not None and is_user(stored) and stored.get("purging", plan.rev) != plan.rev:
        raise UnpurgedUser(user_id)
    if stored is None or stored.get("version") != version:
        raise StaleVersion
    return stored


def _claim(plan: TransactionPlan, owner: str, keys: Collection[Key]) -> None:
    for key in keys:
        if key.pk in _TAKEN and plan.presumed(key, None) is not None:
            raise _TAKEN[key.pk]
        plan.put(key, {"owner": owner})


def _free(plan: TransactionPlan, owner: str, keys: Collection[Key]) -> None:
    for key in keys:
        plan.presumed(key, {"owner": owner})
        plan.put(key, None)
