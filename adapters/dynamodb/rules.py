"""The constraints of users and records: what each write adds to a plan, and when it is rejected."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from adapters.dynamodb.items import (
    Image,
    Key,
    RecordRef,
    UserRef,
    in_parts,
    is_user,
    owned_partition,
    owns,
    part_keys,
    removal_key,
    user_key,
)
from adapters.dynamodb.transaction_plan import TransactionPlan, UnpurgedUser
from domain.errors import DomainError, IdTaken, StaleVersion, UserNotFound
from domain.records import RecordType

Ref: TypeAlias = UserRef | RecordRef


def add_user(plan: TransactionPlan, ref: UserRef, image: Image) -> None:
    stored = plan.presumed(ref.item_key, None) or {}
    if is_user(stored):
        raise IdTaken
    _put(plan, ref, image, before=stored)
    if stored and stored["purging"] != plan.rev:
        raise UnpurgedUser(ref.user_id)


def add_record(plan: TransactionPlan, ref: RecordRef, image: Image) -> None:
    _ensure_free(plan, ref, ref.pointer_key, IdTaken)
    plan.put(ref.pointer_key, ref.index_image)
    _put(plan, ref, image, before={})
    if ref.owner_key is not None and not plan.has_user(ref.owner_key):
        raise UserNotFound


def save(plan: TransactionPlan, ref: Ref, image: Image) -> None:
    _put(plan, ref, image, before=_stored_at(plan, ref, image["version"] - 1))


def remove_user(plan: TransactionPlan, ref: UserRef, version: int, record_types: Sequence[RecordType[Any]]) -> None:
    """Leave a tombstone, which hides all records of the user and rejects new ones."""
    _replace_index(plan, ref, before=_stored_at(plan, ref, version), after={})
    for record_type in record_types:
        if record_type.owner is not None:
            for written in plan.written(owned_partition(record_type, ref.user_id)):
                drop_record(plan, RecordRef(record_type, ref.user_id, written.sk))
    if plan.was_there(ref.item_key):
        plan.put(ref.item_key, {"rev": plan.rev, "purging": plan.rev})
        plan.put(removal_key(ref.user_id), ref.index_image)
    else:
        plan.put(ref.item_key, None)


def remove_record(plan: TransactionPlan, ref: RecordRef, version: int) -> None:
    _stored_at(plan, ref, version)
    drop_record(plan, ref)


def require(plan: TransactionPlan, ref: Ref, version: int) -> None:
    _stored_at(plan, ref, version)


def drop_record(plan: TransactionPlan, ref: RecordRef) -> None:
    """Delete all items of a record."""
    stored = plan.known(ref.item_key)
    if stored is not None:
        _replace_index(plan, ref, before=stored, after={})
        plan.put(ref.pointer_key, None)
        plan.put(ref.item_key, None)


def _stored_at(plan: TransactionPlan, ref: Ref, version: int) -> Image:
    """Return the image of a user or record. Raise `StaleVersion` unless it is at this version and visible."""
    stored = plan.known(ref.item_key)
    if isinstance(ref, UserRef) and is_user(stored) and stored.get("purging", plan.rev) != plan.rev:
        raise UnpurgedUser(ref.user_id)
    if stored is None or stored.get("version") != version:
        raise StaleVersion
    if ref.owner_key is not None:
        if not plan.has_user(ref.owner_key):
            raise StaleVersion
        if plan.replaces(ref.owner_key) and stored["rev"] != plan.rev:
            raise StaleVersion  # it is removed with the earlier user
    return stored


def _put(plan: TransactionPlan, ref: Ref, image: Image, before: Image) -> None:
    _replace_index(plan, ref, before, image)
    image, parts = in_parts({**image, "rev": plan.rev})
    if "purging" in before:
        image = {**image, "purging": plan.rev}  # records of the earlier user have another `rev`
    for key, part in zip(part_keys(ref.item_key, image), parts, strict=True):
        plan.put(key, {"part": part})
    plan.put(ref.item_key, image)


def _replace_index(plan: TransactionPlan, ref: Ref, before: Image, after: Image) -> None:
    """Replace the items that belong to one image by those of another; `{}` has none."""
    old, new = ref.index(before), ref.index(after)
    for key in old:
        if key not in new:
            plan.presumed(key, ref.index_image)
            plan.put(key, None)
    for key in part_keys(ref.item_key, before):
        plan.put(key, None)
    for key, taken in new.items():
        if key not in old:
            if taken is not None:
                _ensure_free(plan, ref, key, taken)
            plan.put(key, ref.index_image)


def _ensure_free(plan: TransactionPlan, ref: Ref, key: Key, taken: type[DomainError]) -> None:
    """Raise the error if an item points to another user or record, except a removed user's, which is deleted."""
    holder = plan.presumed(key, None)
    if holder is None:
        return
    if isinstance(ref, UserRef) or "owner" not in holder:
        raise taken
    other = RecordRef(ref.record_type, holder["owner"], holder["key"])
    stored = plan.known(other.item_key)
    if stored is not None and owns(plan.known(user_key(holder["owner"])), stored):
        raise taken
    drop_record(plan, other)
