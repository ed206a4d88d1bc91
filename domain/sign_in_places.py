"""The networks from which a user has signed in, to notice a new one."""

from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

from domain.records import RecordType
from domain.values import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPlaces:
    """The latest networks as digests, in the order of their first use."""

    MAX_PLACES: ClassVar = 50

    user_id: UserId
    places: tuple[str, ...]
    version: int

    @classmethod
    def first(cls, user_id: UserId, place: str) -> Self:
        return cls(user_id=user_id, places=(place,), version=1)

    def with_place(self, place: str) -> Self:
        """Return the next state, or this very object when the place is known."""
        if place in self.places:
            return self
        return replace(self, places=(*self.places, place)[-self.MAX_PLACES :], version=self.version + 1)


SIGN_IN_PLACES: Final = RecordType("sign_in_places", SignInPlaces, key="user_id", owner="user_id")
