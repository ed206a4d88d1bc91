from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from adapters.dynamodb.items import Belonging, Image, is_user, user_key
from adapters.dynamodb.reader import Reader
from adapters.dynamodb.removals import Removals
from domain.errors import TooBusy

T = TypeVar("T")

_MOST_LOOKS: Final = 10


class Belongings:
    """Reads what belongs to users, who may be removed meanwhile: what was seen of a removed one does not count."""

    def __init__(self, reader: Reader, removals: Removals) -> None:
        self._reader = reader
        self._removals = removals

    async def find(self, keys_of: Callable[[str, str], Belonging], record_id: str) -> tuple[str, Image] | None:
        """Find a record by its id alone, with the id of its user."""
        pointer_key = keys_of("", record_id).pointer
        pointer = await self._reader.one(pointer_key)
        if pointer is None:
            return None
        user_id: str = pointer["owner"]
        key, owner = keys_of(user_id, record_id).record, user_key(user_id)
        images = await self._reader.some([key, owner])
        if key not in images or not is_user(images.get(owner)):
            return None
        purging = images[owner].get("purging")
        return (user_id, images[key]) if purging in {None, images[key]["rev"]} else None

    async def if_there(self, user_id: str, look: Callable[[], Awaitable[T]]) -> T | None:
        """Look at what is a user's, and only then at the user."""
        for _ in range(_MOST_LOOKS):
            found = await look()
            user = await self._reader.one(user_key(user_id))
            if user is None or not is_user(user):
                return None
            if "purging" not in user:
                return found
            await self._removals.purge(user_id)
        raise TooBusy
