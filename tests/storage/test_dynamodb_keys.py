import sys
from unicodedata import normalize

from adapters.dynamodb.items import email_key, name_key
from adapters.storage_contract.examples import a_user
from domain.values import Email, Name, fold

MAX_SORT_KEY = 1_024  # bytes


def test_the_longest_folded_names_and_emails_are_no_longer_than_a_key() -> None:
    characters = (chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
    composed = (character for character in characters if normalize("NFC", character) == character)
    longest = max(composed, key=lambda character: len(fold(character).encode()))
    name = name_key({"name": longest * Name.MAX_LENGTH}, a_user().id)
    assert len(name.sk.encode()) <= MAX_SORT_KEY
    email = email_key(fold(longest * Email.MAX_LOCAL_PART_LENGTH).ljust(Email.MAX_LENGTH, "x"))
    assert len(email.sk.encode()) <= MAX_SORT_KEY
