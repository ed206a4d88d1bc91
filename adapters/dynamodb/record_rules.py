"""The constraints of records: what each write adds to a plan, and when it is rejected."""

from collections.abc import Collection, Iterable

from adapters.dynamodb.items import Image, Key
from adapters.dynamodb.record_items import RecordRef, in_parts
from adapters.dynamodb.transaction_plan import TransactionPlan
from adapters.dynamodb.user_items import owns, user_key
from domain.errors import DomainError, IdTaken, StaleVersion, UserNotFound


def add_record(plan: TransactionPlan, ref: RecordRef, image: Image) -> None:
    _claim(plan, ref, ref.pointer_key, IdTaken)
    _claim_unique(plan, ref, image, before=())
    if ref.owner_key is not None and not plan.has_user(ref.owner_key):
        raise UserNotFound
    _put(plan, ref, image, before=())


def save_record(plan: TransactionPlan, ref: RecordRef, image: Image) -> None:
    stored = _record_at(plan, ref, image["version"] - 1)
    before, after = ref.index_keys(stored), ref.index_keys(image)
    _free(plan, ref, [key for key in before if key not in after], stored)
    _claim_unique(plan, ref, image, before)
    _put(plan, ref, image, before)


def remove_record(plan: TransactionPlan, ref: RecordRef, version: int) -> None:
    _record_at(plan, ref, version)
    drop_record(plan, ref)


def require_record(plan: TransactionPlan, ref: RecordRef, version: int) -> None:
    _record_at(plan, ref, version)


def drop_record(plan: TransactionPlan, ref: RecordRef) -> None:
    """Delete all items of a record."""
    stored = plan.known(ref.item_key)
    if stored is not None:
        _free(plan, ref, ref.index_keys(stored), stored)
        plan.put(ref.pointer_key, None)
        plan.put(ref.item_key, None)


def _record_at(plan: TransactionPlan, ref: RecordRef, version: int) -> Image:
    stored = plan.known(ref.item_key)
    if stored is None or stored["version"] != version:
        raise StaleVersion
    if ref.owner_key is not None:
        if not plan.has_user(ref.owner_key):
            raise StaleVersion
        if plan.replaces(ref.owner_key) and stored["rev"] != plan.rev:
            raise StaleVersion  # it is removed with the earlier user
    return stored


def _claim(plan: TransactionPlan, ref: RecordRef, key: Key, taken: type[DomainError]) -> None:
    """Point an item to a record. Raise the error if it points to another one, except a removed user's."""
    holder = plan.presumed(key, None)
    if holder is not None:
        if "owner" not in holder:
            raise taken
        other = RecordRef(ref.record_type, holder["owner"], holder["key"])
        stored = plan.known(other.item_key)
        if stored is not None and owns(plan.known(user_key(holder["owner"])), stored):
            raise taken
        drop_record(plan, other)
    plan.put(key, ref.index_image)


def _claim_unique(plan: TransactionPlan, ref: RecordRef, image: Image, before: Collection[Key]) -> None:
    for key, taken in ref.unique_keys(image).items():
        if key not in before:
            _claim(plan, ref, key, taken)


def _free(plan: TransactionPlan, ref: RecordRef, index_keys: Iterable[Key], stored: Image) -> None:
    for key in index_keys:
        plan.presumed(key, ref.index_image)
        plan.put(key, None)
    for key in ref.part_keys(stored):
        plan.put(key, None)


def _put(plan: TransactionPlan, ref: RecordRef, image: Image, before: Collection[Key]) -> None:
    image, parts = in_parts({**image, "rev": plan.rev})
    for key in ref.due_keys(image):
        if key not in before:
            plan.put(key, ref.index_image)
    for key, part in zip(ref.part_keys(image), parts, strict=True):
        plan.put(key, {"part": part})
    plan.put(ref.item_key, image)
