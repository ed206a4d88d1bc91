"""Texts to test values with."""

from collections.abc import Callable
from typing import Final, Protocol
from unicodedata import category

from hypothesis import strategies as st

from adapters.runtime.domain_names import IdnaDomainNames
from domain.values import Bio, Body, Email, Name, Password, PostId, SearchPrefix, Title, UserId, Username

# Where case, composition and white space are not what they seem.
PITFALLS: Final = (
    "\u0345", "\u0399", "\u0130", "\u0131", "ς", "σ", "Σ", "ß", "ẞ", "\u212a", "\ufb01", "\u0149", "\u01c5", "ᾳ", "ᾼ",
    "e\u0301", "é", "\u212b", "\u1100\u1161", "가", "\u0958", "\u2126", "\u1e9b\u0323", "\u0f73", "\u00a0", "\u3000",
    "\u200b", "\u200d", "\ufeff", "\x1c", "\x85", "\u2028", "\t", "\n", "\0", "\ud800", "\U0001f468\u200d\U0001f469",
)  # fmt: skip


class Parsed(Protocol):
    """Something that a value's parse makes."""


def parse_email(text: str) -> Email:
    return Email.parse(text, IdnaDomainNames().to_ascii)


PARSERS: Final[dict[str, Callable[[str], Parsed]]] = {
    "Name": Name.parse,
    "Bio": Bio.parse,
    "Title": Title.parse,
    "Body": Body.parse,
    "Email": parse_email,
    "Username": Username.parse,
    "SearchPrefix": SearchPrefix.parse,
    "UserId": UserId.parse,
    "PostId": PostId.parse,
    "Password": Password.parse,
}

any_text = st.lists(
    st.one_of(st.characters(), st.sampled_from(PITFALLS), st.sampled_from("aA1.@-_ ")), max_size=40
).map("".join)

visible_text = st.text(
    st.one_of(st.characters(exclude_categories=["Cs", "Cc", "Z", "Cn"]), st.sampled_from("abcÀßσςΣİıﬁK")),
    min_size=1,
    max_size=20,
)

usernames = st.from_regex(Username.PATTERN, fullmatch=True)

_atoms = st.text(
    st.one_of(st.sampled_from("abzABZ019!#$%&'*+/=?^_`{|}~-"), st.characters(categories=["L", "N"])),
    min_size=1,
    max_size=8,
)

local_parts = st.lists(_atoms, min_size=1, max_size=4).map(".".join)

domains = st.sampled_from(
    ("example.com", "EXAMPLE.Org", "bücher.example", "faß.example", "例え.テスト", "xn--bcher-kva.example", "пример.рф")
)

emails = st.builds("{}@{}".format, local_parts, domains)


def has_control_or_surrogate(text: str, allowed: str = "") -> bool:
    return any(category(character) in {"Cc", "Cs"} and character not in allowed for character in text)
