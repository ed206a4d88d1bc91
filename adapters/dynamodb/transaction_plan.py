from collections.abc import Mapping, Sequence, Set

from adapters.dynamodb.actions import ALIVE, NO_INTENT, Action, Expression, still
from adapters.dynamodb.items import Image, Key
from adapters.dynamodb.user_items import REMOVALS, is_user


class UnreadItems(Exception):
    """Some items have to be read before a plan can go on."""

    def __init__(self, keys: Set[Key]) -> None:
        super().__init__()
        self.keys = keys


class UnpurgedUser(Exception):
    """The records of an earlier user with this id have to be purged first."""

    def __init__(self, user_id: str) -> None:
        super().__init__()
        self.user_id = user_id


class TransactionPlan:
    """The items that a commit writes, and the items that it relies on, as far as these are known.

    Unknown items are presumed. The conditions of the transaction decide whether the presumptions are right.
    """

    def __init__(self, rev: str, facts: Mapping[Key, Image | None]) -> None:
        self.rev = rev
        self._facts = facts
        self._images: dict[Key, Image | None] = {}
        self._expected: dict[Key, Image | None] = {}
        self._alive: set[Key] = set()

    def known(self, key: Key) -> Image | None:
        """Return an item as it is by now; raises `UnreadItems`."""
        if key not in self._images and key not in self._facts:
            raise UnreadItems({key})
        return self.presumed(key, None)

    def presumed(self, key: Key, presumption: Image | None) -> Image | None:
        """Return an item as it is by now, or the presumption if nothing is known of it; raises `UnreadItems`."""
        if key in self._images:
            return self._images[key]
        if key in self._alive and key not in self._facts:
            raise UnreadItems({key})  # it was presumed to be otherwise
        return self._expected.setdefault(key, self._facts.get(key, presumption))

    def has_user(self, key: Key) -> bool:
        """Return whether a user exists, which is presumed if nothing is known of them; raises `UnpurgedUser`."""
        if key in self._images:
            return is_user(self._images[key])
        fact = self._facts.get(key)
        if key in self._facts and not is_user(fact):
            return False
        if fact and "purging" in fact:
            raise UnpurgedUser(key.sk)
        self._alive.add(key)
        return True

    def replaces(self, key: Key) -> bool:
        """Return whether this plan adds a user while records of an earlier one with this id are still to be purged."""
        image = self._images.get(key)
        return image is not None and image.get("purging") == self.rev

    def put(self, key: Key, image: Image | None) -> None:
        """Write an item, or delete it."""
        self._images[key] = image

    def was_there(self, key: Key) -> bool:
        """Return whether a known or presumed item existed before this plan."""
        return self._expected[key] is not None

    def written(self, pk: str) -> Sequence[Key]:
        """Return the keys that this plan has written into a partition."""
        return [key for key, image in self._images.items() if key.pk == pk and image is not None]

    @property
    def unread(self) -> Set[Key]:
        """Return the keys of items that are presumed without being known."""
        return (self._expected.keys() | self._alive) - self._facts.keys()

    @property
    def removed_users(self) -> Sequence[str]:
        """Return the users whose records are to be purged after the commit."""
        return [key.sk for key in self.written(REMOVALS)]

    def actions(self) -> Sequence[Action]:
        return [self._action(key) for key in dict.fromkeys((*self._images, *self._expected, *self._alive))]

    def _action(self, key: Key) -> Action:
        condition = self._condition(key)
        if key not in self._images or (key in self._expected and self._images[key] == self._expected[key]):
            return Action("ConditionCheck", key, condition)
        image = self._images[key]
        return Action("Delete", key, condition) if image is None else Action("Put", key, condition, image)

    def _condition(self, key: Key) -> Expression:
        if key in self._expected:
            return still(self._expected[key])
        return ALIVE if key in self._alive else NO_INTENT
