from typing import Final

import pytest

from adapters.storage_contract.examples import (
    LATER,
    a_credential,
    a_full_user,
    a_user,
    a_username,
    an_email,
    renamed,
)
from adapters.storage_contract.steps import add, assert_same, read_all, remove, save, stage_save, stored_user
from domain.errors import EmailTaken, IdTaken, UsernameTaken
from domain.storage import Storage
from domain.user import User
from domain.values import Email, Username

# Pairs that differ in the domain but are equal in some collation.
DIFFERENT_TEXTS: Final = {
    "acute": ("e", "é"),
    "circumflex": ("ê", "é"),
    "umlaut": ("o", "ö"),
    "stroke": ("o", "ø"),
    "ring": ("aa", "å"),
    "cedilla": ("c", "ç"),
    "tilde": ("n", "ñ"),
    "ae": ("ae", "æ"),
    "sharp s": ("ss", "ß"),
    "ligature": ("fi", "ﬁ"),
    "case": ("ann", "ANN"),
    "case beyond ascii": ("é", "É"),
    "astral case": ("𐐨", "𐐀"),
    "composition": ("\u00e9", "e\u0301"),
    "dotless i": ("i", "ı"),
    "dotted i": ("i", "i\u0307"),
    "final sigma": ("σ", "ς"),
    "greek accent": ("α", "ά"),
    "cyrillic a": ("a", "а"),
    "cyrillic io": ("е", "ё"),
    "kana": ("あ", "ア"),
    "half width": ("ア", "ｱ"),
    "full width": ("a", "ａ"),
    "voiced kana": ("か", "が"),
    "small kana": ("つ", "っ"),
    "hangul jamo": ("한", "\u1112\u1161\u11ab"),
    "thai tone mark": ("กา", "ก่า"),
    "hebrew points": ("שלום", "שָׁלוֹם"),
    "arabic kashida": ("محمد", "محـمد"),
    "arabic digits": ("1", "١"),
    "superscript": ("2", "²"),
    "traditional han": ("国", "國"),
    "emoji": ("🍣", "🍺"),
    "skin tone": ("👍", "👍🏿"),
    "emoji and nothing": ("", "😀"),
    "variation selector": ("☎", "☎\ufe0f"),
    "zero-width joiner": ("ab", "a\u200db"),
    "soft hyphen": ("ab", "a\u00adb"),
    "noncharacters": ("\ufffe", "\uffff"),
    "trailing space": ("a", "a "),
    "leading space": ("a", " a"),
    "trailing no-break space": ("a", "a\u00a0"),
    "punctuation": ("a-b", "a_b"),
    "wildcards": ("a%", "a_"),
    "backslash": ("a\\b", "a\\\\b"),
    "digits": ("1", "01"),
    "exponents": ("100", "1e2"),
}

# Addresses that are equal in the domain.
SAME_EMAILS: Final = {
    "case": ("ann@example.org", "ANN@EXAMPLE.ORG"),
    "case beyond ascii": ("é@example.org", "É@example.org"),
    "composition": ("\u00e9@example.org", "e\u0301@example.org"),
    "sharp s": ("strasse@example.org", "STRAẞE@example.org"),
    "final sigma": ("σίσυφος@example.org", "ΣΊΣΥΦΟΣ@example.org"),
    "ligature": ("office@example.org", "oﬃce@example.org"),
    "cyrillic": ("анна@example.org", "АННА@example.org"),
    "astral": ("𐐨@example.org", "𐐀@example.org"),
}

DIFFERENT_USERNAMES: Final = [
    ("ann", "ANN"),
    ("a_b", "a-b"),
    ("a.b", "a_b"),
    ("ann", "ann."),
    ("100", "1e2"),
    ("a1", "a01"),
]


class UniquenessCases:
    """An email and a username belong to one user, decided by the canonical form alone."""

    async def test_one_email_however_it_is_written_has_one_owner(self, storage: Storage) -> None:
        for texts in SAME_EMAILS.values():
            first, second = (a_user(email=Email.parse(text)) for text in texts)
            await add(storage, first)
            with pytest.raises(EmailTaken):
                await add(storage, second)
            assert_same(await storage.unit_of_work().users.find_by_email(second.email), first)
            assert await stored_user(storage, second) is None
            await remove(storage, first)

    async def test_emails_that_only_look_alike_have_two_owners(self, storage: Storage) -> None:
        users = storage.unit_of_work().users
        for texts in DIFFERENT_TEXTS.values():
            # Ends with the text, to detect any processing of a text's end.
            first, second = (a_user(email=an_email(f"ann@{text}")) for text in texts)
            await add(storage, first)
            assert await users.find_by_email(second.email) is None, texts
            await add(storage, second)
            for user in (first, second):
                assert_same(await users.find_by_email(user.email), user)
                assert list(await users.find_by_emails([user.email])) == [user]
            await remove(storage, first, second)

    async def test_usernames_that_only_look_alike_have_two_owners(self, storage: Storage) -> None:
        for texts in DIFFERENT_USERNAMES:
            first, second = (a_user(username=a_username(text)) for text in texts)
            await add(storage, first, second)
            for user in (first, second):
                assert user.username
                assert_same(await storage.unit_of_work().users.find_by_username(user.username), user)
            await remove(storage, first, second)

    async def test_one_username_however_it_is_written_has_one_owner(self, storage: Storage) -> None:
        first, second = (a_user(username=Username.parse(text)) for text in ("ann", "ANN"))
        await add(storage, first)
        with pytest.raises(UsernameTaken):
            await add(storage, second)
        assert await stored_user(storage, second) is None

    async def test_any_number_of_users_may_have_no_username(self, storage: Storage) -> None:
        await add(storage, a_user(), a_user())
        await add(storage, a_user())
        assert await storage.unit_of_work().users.count() == 3

    async def test_an_email_may_be_the_username_of_another_user(self, storage: Storage) -> None:
        first, second = a_user(email=an_email("ann")), a_user(username=a_username("ann"))
        await add(storage, first, second)
        assert await storage.unit_of_work().users.find_by_email(an_email("ann")) == first
        assert await storage.unit_of_work().users.find_by_username(a_username("ann")) == second

    async def test_a_change_to_a_taken_email_is_rejected(self, storage: Storage) -> None:
        owner, other = a_user(), a_user()
        await add(storage, owner, other)
        before = await read_all(storage)
        with pytest.raises(EmailTaken):
            await save(storage, other.change(now=LATER, email=owner.email))
        assert await read_all(storage) == before
        assert await storage.unit_of_work().users.find_by_email(other.email) == other

    async def test_a_change_to_a_taken_username_is_rejected(self, storage: Storage) -> None:
        owner, other = a_user(username=a_username("ann")), a_user(username=a_username("ben"))
        await add(storage, owner, other)
        before = await read_all(storage)
        with pytest.raises(UsernameTaken):
            await save(storage, other.change(now=LATER, username=owner.username))
        assert await read_all(storage) == before
        assert await storage.unit_of_work().users.find_by_username(a_username("ben")) == other

    async def test_users_may_write_their_own_email_and_username_otherwise(self, storage: Storage) -> None:
        user = a_user(email=Email.parse("ann@example.org"), username=Username.parse("ann"))
        await add(storage, user)
        changed = user.change(now=LATER, email=Email.parse("ANN@example.org"), username=Username.parse("ANN"))
        await save(storage, changed)
        assert_same(await stored_user(storage, user), changed)

    async def test_saving_something_else_keeps_the_email_and_the_username(self, storage: Storage) -> None:
        user = a_full_user()
        await add(storage, user)
        await save(storage, renamed(user, "Renamed"))
        with pytest.raises(EmailTaken):
            await add(storage, a_user(email=user.email))
        with pytest.raises(UsernameTaken):
            await add(storage, a_user(username=user.username))

    async def test_when_both_are_taken_one_of_them_is_named(self, storage: Storage) -> None:
        owner = a_full_user()
        await add(storage, owner)
        with pytest.raises((EmailTaken, UsernameTaken)):
            await add(storage, a_user(email=owner.email, username=owner.username))

    async def test_a_removal_frees_both(self, storage: Storage) -> None:
        owner = a_full_user()
        await add(storage, owner)
        await remove(storage, owner)
        next_owner = a_user(email=owner.email, username=owner.username)
        await add(storage, next_owner)
        assert_same(await storage.unit_of_work().users.find_by_email(owner.email), next_owner)

    async def test_a_change_frees_both(self, storage: Storage) -> None:
        owner = a_full_user()
        await add(storage, owner)
        await save(storage, owner.change(now=LATER, email=an_email("moved@example.org"), username=None))
        next_owner = a_user(email=owner.email, username=owner.username)
        await add(storage, next_owner)
        assert_same(await storage.unit_of_work().users.find_by_email(owner.email), next_owner)

    async def test_a_removal_frees_both_for_what_is_staged_after_it(self, storage: Storage) -> None:
        owner = a_full_user()
        next_owner = a_user(email=owner.email, username=owner.username)
        await add(storage, owner)
        unit = storage.unit_of_work()
        unit.users.remove(owner)
        unit.users.add(next_owner)
        await unit.commit()
        assert (await read_all(storage)).users == [next_owner]

    async def test_a_removal_between_two_additions_frees_both_for_the_second(self, storage: Storage) -> None:
        owner, newcomer = a_full_user(), a_user()
        next_owner = a_user(email=owner.email, username=owner.username)
        await add(storage, owner)
        unit = storage.unit_of_work()
        unit.users.add(newcomer)
        unit.users.remove(owner)
        unit.users.add(next_owner)
        await unit.commit()
        assert (await read_all(storage)).users == [newcomer, next_owner]

    async def test_a_change_frees_both_for_what_is_staged_after_it(self, storage: Storage) -> None:
        owner, next_owner = a_full_user(), a_user()
        await add(storage, owner, next_owner)
        moved = owner.change(now=LATER, email=an_email("moved@example.org"), username=None)
        inherited = next_owner.change(now=LATER, email=owner.email, username=owner.username)
        unit = storage.unit_of_work()
        stage_save(unit, moved, inherited)
        await unit.commit()
        assert (await read_all(storage)).users == [moved, inherited]

    async def test_what_is_freed_only_later_in_a_unit_of_work_is_still_taken(self, storage: Storage) -> None:
        owner, next_owner = a_full_user(), a_user()
        await add(storage, owner, next_owner)
        before = await read_all(storage)
        unit = storage.unit_of_work()
        stage_save(unit, next_owner.change(now=LATER, email=owner.email))
        stage_save(unit, owner.change(now=LATER, email=an_email("moved@example.org")))
        with pytest.raises(EmailTaken):
            await unit.commit()
        assert await read_all(storage) == before

    async def test_a_failed_removal_frees_nothing(self, storage: Storage) -> None:
        owner, other = a_full_user(), a_user()
        await add(storage, owner, other)
        unit = storage.unit_of_work()
        unit.users.remove(owner)
        unit.users.add(a_user(email=other.email))
        with pytest.raises(EmailTaken):
            await unit.commit()
        with pytest.raises(UsernameTaken):
            await add(storage, a_user(username=owner.username))
        assert_same(await storage.unit_of_work().users.find_by_email(owner.email), owner)

    async def test_two_users_added_together_cannot_share_an_email(self, storage: Storage) -> None:
        first = a_user()
        with pytest.raises(EmailTaken):
            await add(storage, first, a_user(email=first.email))
        assert (await read_all(storage)).users == []

    async def test_two_users_added_together_cannot_share_a_username(self, storage: Storage) -> None:
        first = a_user(username=a_username("ann"))
        with pytest.raises(UsernameTaken):
            await add(storage, first, a_user(username=a_username("ann")))
        assert (await read_all(storage)).users == []

    async def test_the_id_of_a_user_cannot_be_used_again(self, storage: Storage) -> None:
        first = a_user()
        await add(storage, first)
        with pytest.raises(IdTaken):
            await add(storage, a_user(id=first.id))
        assert (await read_all(storage)).users == [first]

    async def test_the_same_user_cannot_be_added_twice(self, storage: Storage) -> None:
        user = a_full_user()
        await add(storage, user, a_credential(user))
        with pytest.raises((IdTaken, EmailTaken, UsernameTaken)):
            await add(storage, user)
        assert (await read_all(storage)).users == [user]

    async def test_refusals_repeat_no_value(self, storage: Storage) -> None:
        owner: User = a_full_user()
        await add(storage, owner)
        with pytest.raises(EmailTaken) as refused:
            await add(storage, a_user(email=owner.email))
        assert owner.email.address not in str(refused.value)
        assert owner.email.canonical not in str(refused.value)
