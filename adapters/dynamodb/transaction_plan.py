from collections.abc import Mapping, Sequence, Set

from adapters.dynamodb.actions import ALIVE, NO_INTENT, Action, Expression, still
from adapters.dynamodb.items import REMOVALS, Image, Key, is_user


class UnreadItems(Exception):
    """Some items must be read before a plan can continue."""

    def __init__(self, keys: Set[Key]) -> None:
        super().__init__()
        self.keys = keys


class UnpurgedUser(Exception):
    """The records of an earlier user with this id must be purged first."""

    def __init__(self, user_id: str) -> None:
        super().__init__()
        self.user_id = user_id


class TransactionPlan:
    """The items that a commit writes, and the items that it relies on.

    Unknown items are presumed to have the likely state. The conditions of the transaction verify that.
    """

    def __init__(self, rev: str, facts: Mapping[Key, Image | None]) -> None:
        self.rev = rev
        self._facts = facts
        self._images: dict[Key, Image | None] = {}
        self._expected: dict[Key, Image | None] = {}
        self._alive: set[Key] = set()

    def known(self, key: Key) -> Image | None:
        """Return an item's image so far. Raise `UnreadItems`."""
        if key not in self._images and key not in self._facts:
            raise UnreadItems({key})
        return self.presumed(key, None)

    def presumed(self, key: Key, presumption: Image | None) -> Image | None:
        """Return an item's image so far, or the presumption if it is unknown. Raise `UnreadItems`."""
        if key in self._images:
            return self._images[key]
        if key in self._alive and key not in self._facts:
            raise UnreadItems({key})  # an earlier presumption differs
        return self._expected.setdefault(key, self._facts.get(key, presumption))

    def has_user(self, key: Key) -> bool:
        """Return whether a user exists; presume so if unknown. Raise `UnpurgedUser`."""
        if key in self._images:
            return is_user(self._images[key])
        fact = self._facts.get(key)
        if key in self._facts and not is_user(fact):
            self._expected[key] = fact
            return False
        if fact and "purging" in fact:
            raise UnpurgedUser(key.sk)
        self._alive.add(key)
        return True

    def replaces(self, key: Key) -> bool:
        """Return whether this plan adds a user while records of an earlier one with this id remain to be purged."""
        image = self._images.get(key)
        return image is not None and image.get("purging") == self.rev

    def put(self, key: Key, image: Image | None) -> None:
        """Write an item, or delete it with None."""
        self._images[key] = image

    def was_there(self, key: Key) -> bool:
        """Return whether a known or presumed item existed before this plan."""
        return self._expected[key] is not None

    def written(self, pk: str) -> Sequence[Key]:
        """Return the keys that this plan writes into a partition."""
        return [key for key, image in self._images.items() if key.pk == pk and image is not None]

    @property
    def unread(self) -> Set[Key]:
        """Return the keys of items that are presumed without being known."""
        return (self._expected.keys() | self._alive) - self._facts.keys()

    @property
    def removed_users(self) -> Sequence[str]:
        """Return the users whose records must be purged after the commit."""
        return [key.sk for key in self.written(REMOVALS)]

    def actions(self) -> Sequence[Action]:
        return [self._action(key) for key in dict.fromkeys((*self._images, *self._expected, *self._alive))]

    def checks(self) -> Sequence[Action]:
        """Return actions that only check the items that this plan relies on."""
        keys = dict.fromkeys((*self._expected, *self._alive))
        return [Action("ConditionCheck", key, self._condition(key)) for key in keys]

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
