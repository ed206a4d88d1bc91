from typing import Final

import pytest

from adapters.storage_contract.examples import LATER, a_prefix, a_user, a_username, an_email, nth_user_id, renamed
from adapters.storage_contract.steps import add, ids_of, remove, save
from domain.storage import Storage
from domain.user import User
from domain.values import Name, SearchPrefix, Username

# Characters that some store could interpret as a pattern, an escape or a quote.
SPECIAL: Final = "%_\\*?[]^$.|(){}+-'\"`:;,#!&@/~ "

# Edge cases of converting "starts with" into a range.
BOUNDARIES: Final = {
    "before the surrogates": ("\ud7ff", "\ue000"),
    "behind the surrogates": ("\ue000", "\ue001"),
    "end of the basic plane": ("\uffff", "\U00010000"),
    "end of a plane": ("\U0001ffff", "\U00020000"),
    "last of all": ("\U0010ffff", "\U0010fffe"),
    "twice the last of all": ("\U0010ffff\U0010ffff", "\U0010fffe\U0010ffff"),
    "last of ascii": ("\x7e", "\x80"),
    "one byte and two": ("z\x7e", "z\u0080"),
    "two bytes and three": ("\u07ff", "\u0800"),
}


async def _found(storage: Storage, prefix: SearchPrefix | str) -> list[User]:
    """Search in both directions and count; all must agree."""
    users = storage.unit_of_work().users
    prefix = SearchPrefix(prefix)
    found = list(await users.search(prefix, limit=100))
    assert list(await users.search(prefix, limit=100, descending=True)) == found[::-1]
    assert await users.count(prefix) == len(found)
    return found


ALIKE: Final = [
    ("ANNA", "ann"),
    ("anna", "ANN"),
    ("Ärmel", "ÄRM"),
    ("Straße", "STRASS"),
    ("STRASSE", "straß"),
    ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ("Éa", "e\u0301a"),
    ("Ǆ", "ǆ"),
    ("ﬃ", "FFI"),
    ("ОЛЬГА", "оль"),
    ("𐐀𐐁", "𐐨"),
    ("İstanbul", "i\u0307s"),
    ("山田太郎", "山田"),
    ("👍🏿 Ann", "👍🏿"),
]
"""Names, and beginnings that find them."""

UNLIKE: Final = [
    ("Élan", "e"),
    ("ıx", "i"),
    ("ｌan", "l"),
    ("アン", "あ"),
    ("がら", "か"),
    ("👍🏿", "👎"),
    ("øre", "o"),
]
"""Names, and search texts with which no name starts."""


class SearchCases:
    """Users are found by a prefix of their folded name, email or username."""

    async def test_users_are_found_by_each_of_their_keys(self, storage: Storage) -> None:
        user = a_user(name="Zoë Quinn", email=an_email("mail@example.org"), username=a_username("nick"))
        other = a_user(name="Somebody", email=an_email("some@example.org"), username=a_username("body"))
        await add(storage, user, other)
        for prefix in ("zoë", "zoë q", "zoë quinn", "m", "mail@", "mail@example.org", "n", "nick"):
            assert await _found(storage, prefix) == [user], prefix

    async def test_only_beginnings_count(self, storage: Storage) -> None:
        user = a_user(name="Zoë Quinn", email=an_email("mail@example.org"), username=a_username("nick"))
        await add(storage, user)
        for prefix in ("quinn", "oë", "@example.org", "ick", "zoë quinn x", "mail@example.org.", "nickk", "zoe", "zo "):
            assert await _found(storage, prefix) == [], prefix

    async def test_case_and_composition_do_not_matter(self, storage: Storage) -> None:
        await add(storage, a_user(name="Somebody"))
        for name, text in ALIKE:
            user = a_user(name=name)
            await add(storage, user)
            assert await _found(storage, SearchPrefix.parse(text)) == [user], text
            await remove(storage, user)

    async def test_everything_else_does_matter(self, storage: Storage) -> None:
        for name, text in UNLIKE:
            user = a_user(name=name, email=an_email("@"))
            await add(storage, user)
            assert await _found(storage, SearchPrefix.parse(text)) == [], text
            await remove(storage, user)

    async def test_no_character_is_a_wildcard(self, storage: Storage) -> None:
        for character in SPECIAL:
            text = f"q{character}z"
            named = a_user(name=f"{text}n")
            mailed = a_user(email=an_email(f"{text}m"))
            called = a_user(username=a_username(f"{text}u"))
            decoys = [
                a_user(name=name) for name in ("qaz", "qz", "qaaz", "qq", f"q{character}y", f"{character}z", "qza")
            ]
            await add(storage, named, mailed, called, *decoys)
            assert await _found(storage, text) == [named, mailed, called], text
            await remove(storage, named, mailed, called, *decoys)

    async def test_special_characters_find_nothing_when_no_user_has_them(self, storage: Storage) -> None:
        await add(storage, a_user(name="Ann"), a_user(name="a"))
        for text in ("%", "_", "*", "\\", "^", ".", "'", "[a-z]", ".*", "%%", "\\%"):
            assert await _found(storage, text) == [], text

    async def test_the_edges_of_unicode_are_no_edges_of_the_search(self, storage: Storage) -> None:
        for inside, outside in BOUNDARIES.values():
            found = [a_user(name=name) for name in (inside, f"{inside}a", f"{inside}\U0010ffff")]
            others = [a_user(name=outside), a_user(name=f"{outside}a")]
            await add(storage, *found, *others)
            assert await _found(storage, inside) == found, inside
            await remove(storage, *found, *others)

    async def test_a_space_at_the_end_counts(self, storage: Storage) -> None:
        first = a_user(name="Ann Smith", email=an_email("1"))
        await add(storage, first, a_user(name="Anna", email=an_email("2")), a_user(name="Ann", email=an_email("3")))
        assert await _found(storage, "ann ") == [first]

    async def test_a_user_who_is_found_by_several_keys_appears_once(self, storage: Storage) -> None:
        users = [
            a_user(name=f"Ann {number}", email=an_email(f"ann.{number}"), username=a_username(f"ann_{number}"))
            for number in range(9)
        ]
        await add(storage, *users)
        assert await _found(storage, "ann") == users
        assert list(await storage.unit_of_work().users.search(a_prefix("ann"), limit=4)) == users[:4]

    async def test_the_first_by_id_are_found_regardless_of_their_names(self, storage: Storage) -> None:
        names = ["Ann Z", "Ann M", "Ann B", "Ann Y", "Ann A", "Ann C"]
        numbers = [50, 20, 60, 10, 40, 30]
        for number, name in zip(numbers, names, strict=True):
            await add(storage, a_user(id=nth_user_id(number), name=name))
        users = storage.unit_of_work().users
        first = [nth_user_id(number) for number in (10, 20, 30)]
        last = [nth_user_id(number) for number in (60, 50, 40)]
        assert ids_of(await users.search(a_prefix("Ann"), limit=3)) == first
        assert ids_of(await users.search(a_prefix("Ann"), limit=3, descending=True)) == last
        assert await users.count(a_prefix("Ann")) == 6

    async def test_the_first_by_id_are_found_whichever_key_finds_them(self, storage: Storage) -> None:
        users = []
        for number in range(3):
            users.append(a_user(username=a_username(f"ann{number}")))
            users.append(a_user(name=f"Ann {number}"))
            users.append(a_user(email=an_email(f"ann{number}")))
        await add(storage, *reversed(users))
        assert list(await storage.unit_of_work().users.search(a_prefix("ann"), limit=5)) == users[:5]
        assert await _found(storage, "ann") == users

    async def test_keys_follow_a_change(self, storage: Storage) -> None:
        user = a_user(name="Old Name", email=an_email("old@example.org"), username=a_username("old_nick"))
        await add(storage, user)
        changed = user.change(
            now=LATER,
            name=Name("New Name"),
            email=an_email("new@example.org"),
            username=Username("New_nick", "new_nick"),
        )
        await save(storage, changed)
        assert await _found(storage, "old") == []
        for prefix in ("new name", "new@", "new_"):
            assert await _found(storage, prefix) == [changed]

    async def test_a_cleared_key_finds_no_user(self, storage: Storage) -> None:
        user = a_user(username=a_username("nick"))
        await add(storage, user)
        await save(storage, user.change(now=LATER, username=None))
        assert await _found(storage, "nick") == []

    async def test_a_failed_or_dropped_change_leaves_the_keys(self, storage: Storage) -> None:
        user = a_user(name="Ann")
        await add(storage, user)
        storage.unit_of_work().users.save(renamed(user, "Ben"))
        assert await _found(storage, "ann") == [user]
        assert await _found(storage, "ben") == []

    async def test_keys_go_with_their_user(self, storage: Storage) -> None:
        ann, anna = a_user(name="Ann"), a_user(name="Anna")
        await add(storage, ann, anna)
        await remove(storage, ann)
        assert await _found(storage, "ann") == [anna]

    @pytest.mark.parametrize("character", ["a", "é", "ﬃ", "😀", "𐐀"])
    async def test_the_longest_names_are_found_to_their_last_character(self, storage: Storage, character: str) -> None:
        user, other = a_user(name=character * 100), a_user(name=character * 99 + "x")
        await add(storage, user, other)
        assert await _found(storage, SearchPrefix.parse(character * 100)) == [user]
        assert await _found(storage, SearchPrefix.parse(character * 99)) == [user, other]

    async def test_a_count_goes_beyond_any_limit(self, storage: Storage) -> None:
        await add(storage, *(a_user(name=f"Ann {number}") for number in range(120)), a_user(name="Ben"))
        assert await storage.unit_of_work().users.count(a_prefix("ann")) == 120
        assert len(await storage.unit_of_work().users.search(a_prefix("ann"), limit=7)) == 7

    async def test_a_prefix_may_be_longer_than_any_key(self, storage: Storage) -> None:
        await add(storage, a_user())
        users = storage.unit_of_work().users
        prefix = SearchPrefix.parse("\U0001d164" * SearchPrefix.MAX_LENGTH)  # a note that folds to three parts
        assert list(await users.search(prefix, limit=10)) == []
        assert await users.count(prefix) == 0
