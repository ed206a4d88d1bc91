from dataclasses import replace
from typing import Final

from adapters.storage_contract.examples import a_post, a_user
from adapters.storage_contract.steps import add, assert_same, stored, stored_user
from domain.storage import Storage
from domain.values import Email, Username

TEXTS: Final = {
    "astral": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𒀀 🜨",
    "emoji": "👩🏽‍🚀 👨‍👩‍👧‍👦 🏴󠁧󠁢󠁷󠁬󠁳󠁿 🇺🇳 ☎️",
    "right-to-left": "שלום \u202bعالم\u202c \u2067٣٤\u2069",
    "combining": "Z\u0351\u036b\u0343\u036a\u0302a\u0331\u0301lgo",
    "decomposed": "e\u0301 n\u0303 o\u0302\u0323",
    "composed": "é ñ ộ",
    "hangul": "한국어 \u1112\u1161\u11ab",
    "thai": "ภาษาไทย",
    "cased": "Straße ΣΊΣΥΦΟΣ ǅ İıIi ﬃ",
    "line breaks and tabs": "one\ntwo\r\nthree\rfour\n\n\tfive\u2028six\u2029",
    "white space at both ends": " \t\n\u00a0\u3000\u2003text\u2003\u3000\u00a0\n\t ",
    "zero width at both ends": "\u200b\ufeff\u2060text\u2060\ufeff\u200b",
    "nothing but spaces": "   ",
    "quotes": """' " ` '' "" \\' \\\\ \\0 \\n ; -- /* */ # $$ $1 :name %s %(name)s {} ? ?1""",
    "markup and null": "<b>&amp;</b> null NULL None undefined NaN \\N",
    "numbers": "007 1e3 0x1F 1_000 true",
    "noncharacters": "\ufdd0\uffff\U0001fffe\U0010ffff",
    "around the surrogates": "\ud7ff\ue000",
    "private use": "\ue000\uf8ff\U000f0000",
}
LONG_DOMAIN: Final = ".".join(["d" * 61] * 3) + ".de"  # 188 characters: with a local part of 64 and the @, 253


def _same(characters: str, length: int) -> str:
    return (characters * length)[:length]


class TextCases:
    """Text is stored code point by code point, in any script and up to the maximum lengths."""

    async def test_any_text_comes_back_in_every_field_of_a_user(self, storage: Storage) -> None:
        users = [
            replace(a_user(name=text, bio=text), email=Email(f"A.{text}@example.org", f"a.{text}@example.org"))
            for text in TEXTS.values()
        ]
        await add(storage, *users)
        for user in users:
            assert_same(await stored_user(storage, user), user)
            assert_same(await storage.unit_of_work().users.find_by_email(user.email), user)

    async def test_the_longest_texts_of_a_user_and_a_post_come_back(self, storage: Storage) -> None:
        for characters in ("a", "é", "語", "😀", "ﬃ", "ab 😀"):
            author = a_user(name=_same(characters, 100), bio=_same(characters, 1_000))
            post = a_post(author, title=_same(characters, 200), body=_same(characters, 10_000))
            await add(storage, author, post)
            assert_same(await stored_user(storage, author), author)
            assert_same(await stored(storage, post), post)

    # The last two take the most code points and the most bytes once they are folded.
    async def test_the_longest_emails_are_kept_and_found(self, storage: Storage) -> None:
        for local in ("a" * 64, "É" * 64, "ﬃ" * 64, "𐐀" * 64):
            email = Email.parse(f"{local}@{LONG_DOMAIN}d")
            assert len(email.address) == Email.MAX_LENGTH
            user = a_user(email=email)
            neighbour = a_user(email=Email.parse(f"{local[:-1]}b@{LONG_DOMAIN}d"))
            await add(storage, neighbour, user)
            assert_same(await stored_user(storage, user), user)
            assert_same(await storage.unit_of_work().users.find_by_email(email), user)
            assert len(await storage.unit_of_work().users.find_by_emails([email, neighbour.email])) == 2

    async def test_emails_that_differ_in_the_last_of_their_characters_only_are_two(self, storage: Storage) -> None:
        stem = f"{'ﬃ' * 64}@{LONG_DOMAIN}"
        first, second = a_user(email=Email.parse(stem + "d")), a_user(email=Email.parse(stem + "e"))
        await add(storage, first, second)
        assert_same(await storage.unit_of_work().users.find_by_email(first.email), first)
        assert_same(await storage.unit_of_work().users.find_by_email(second.email), second)

    async def test_the_longest_usernames_are_kept_and_found(self, storage: Storage) -> None:
        first, second = a_user(username=Username.parse("A" * 32)), a_user(username=Username.parse("A" * 31 + "-"))
        await add(storage, first, second)
        assert_same(await stored_user(storage, first), first)
        assert_same(await storage.unit_of_work().users.find_by_username(Username.parse("a" * 32)), first)
        assert_same(await storage.unit_of_work().users.find_by_username(Username.parse("a" * 31 + "-")), second)
