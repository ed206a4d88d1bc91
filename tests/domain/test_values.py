from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from time import process_time
from typing import Final
from unicodedata import category, normalize
from uuid import uuid4

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.errors import InvalidValue
from domain.values import (
    Bio,
    Body,
    Email,
    Name,
    Password,
    PostId,
    SearchPrefix,
    Title,
    UserId,
    Username,
    ascii_domain_only,
    fold,
    nfc,
    truncate_to_milliseconds,
)
from tests.domain.texts import (
    PARSERS,
    PITFALLS,
    any_text,
    domains,
    emails,
    has_control_or_surrogate,
    local_parts,
    parse_email,
    usernames,
    visible_text,
)

TEXTS = (Name, Bio, Title, Body)


def code_of(parser: str, text: str) -> str | None:
    """Return the code with which a text is rejected, or None if it is accepted."""
    try:
        PARSERS[parser](text)
    except InvalidValue as error:
        return error.code
    return None


# Every value


@settings(max_examples=200)
@given(text=st.one_of(any_text, emails, usernames))
def test_any_text_is_either_accepted_or_refused(text: str) -> None:
    for parse in PARSERS.values():  # in one test, here and below: generating a text takes longer than parsing it
        with suppress(InvalidValue):
            parse(text)


@settings(max_examples=200)
@given(secret=st.text("qx#7", min_size=6, max_size=30), around=any_text)
def test_a_refusal_never_repeats_the_text(secret: str, around: str) -> None:
    for parse in PARSERS.values():
        message = ""
        try:
            parse(f"{around}{secret}")
        except InvalidValue as error:
            message = f"{error.code} {error.detail} {error!r}"
        assert secret not in message


# Texts


@given(text=any_text)
def test_what_was_parsed_parses_to_itself(text: str) -> None:
    for kind in TEXTS:
        with suppress(InvalidValue):
            once = kind.parse(text)
            assert kind.parse(once) == once
            assert normalize("NFC", once) == once


@given(text=any_text)
def test_no_control_character_is_accepted_but_line_breaks_and_tabs(text: str) -> None:
    for kind, allowed in ((Name, ""), (Title, ""), (Bio, "\n\r\t"), (Body, "\n\r\t")):
        with suppress(InvalidValue):
            assert not has_control_or_surrogate(kind.parse(text), allowed)


@given(text=visible_text, before=st.sampled_from(["", " ", "\u3000\n", "\xa0\t"]), after=st.sampled_from(["", " \r\n"]))
def test_white_space_around_a_text_does_not_count(text: str, before: str, after: str) -> None:
    for kind in TEXTS:
        assert kind.parse(f"{before}{text}{after}") == kind.parse(text)


@pytest.mark.parametrize("kind", TEXTS)
def test_length_is_counted_in_code_points_after_composition(kind: type[Name]) -> None:
    assert len(kind.parse("e\u0301" * kind.MAX_LENGTH)) == kind.MAX_LENGTH
    assert len(kind.parse(f"  {'🌍' * kind.MAX_LENGTH}  ")) == kind.MAX_LENGTH
    for too_long in ("e\u0301" * (kind.MAX_LENGTH + 1), "\u0958" * kind.MAX_LENGTH):  # the latter grows under NFC
        with pytest.raises(InvalidValue, match=str(kind.MAX_LENGTH)):
            kind.parse(too_long)


@pytest.mark.parametrize("blank", ["", " ", "\u3000", "\n\t\xa0"])
def test_only_a_bio_may_be_blank(blank: str) -> None:
    assert Bio.parse(blank) == ""
    assert [code_of(parser, blank) for parser in ("Name", "Title", "Body")] == ["blank"] * 3


@pytest.mark.parametrize("parser", ["Name", "Bio", "Title", "Body", "Email"])
def test_controls_at_an_end_are_refused_not_stripped(parser: str) -> None:
    text = "ann@example.com"
    for control in "\x1c\x1d\x1e\x1f\0\x7f\x9f":
        assert code_of(parser, f"{text}{control}") == code_of(parser, f"{control}{text}") == "invalid_character"


@pytest.mark.parametrize("parser", ["Name", "Bio", "Title", "Body", "Email", "SearchPrefix", "Password"])
def test_lone_surrogates_are_refused(parser: str) -> None:
    assert code_of(parser, "someone\ud800@example.com") == "invalid_character"


@pytest.mark.parametrize("parser", ["Name", "Email"])
def test_of_all_characters_controls_and_surrogates_alone_are_refused_as_such(parser: str) -> None:
    for character in map(chr, (*range(0x3100), *range(0xD7F0, 0xE010), *range(0xFE00, 0x10010), 0xE0001, 0x10FFFF)):
        refused = code_of(parser, f"a{character}a@example.com") == "invalid_character"
        assert refused == has_control_or_surrogate(character), hex(ord(character))


# Case


@given(text=st.one_of(any_text, st.text(st.characters(max_codepoint=127))))
def test_a_text_is_folded_as_unicode_says(text: str) -> None:
    assert fold(text) == normalize("NFC", normalize("NFD", text).casefold())


@given(text=any_text)
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(text=visible_text)
def test_composition_does_not_change_what_a_text_folds_to(text: str) -> None:
    assert fold(normalize("NFD", text)) == fold(normalize("NFC", text)) == fold(text)


@given(text=visible_text)
def test_what_folds_alike_was_matched_without_regard_to_case(text: str) -> None:
    assert fold(text.casefold()) == fold(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),  # a final sigma is a sigma
        ("STRASSE", "straße"),
        ("STRAẞE", "straße"),
        ("\u212aelvin", "kelvin"),  # the Kelvin sign
        ("\u212bngström", "ångström"),  # the Ångström sign
        ("\ufb01sh", "FISH"),  # a ligature
        ("\u0345", "\u0399"),  # an iota below is an iota
        ("ᾼ", "ᾳ"),
        ("\u01c4", "\u01c6"),  # DŽ and dž
        ("\u0130", "i\u0307"),  # a capital I with a dot
    ],
)
def test_the_pitfalls_of_case_fold_to_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("é", "e"), ("ı", "i"), ("I", "ı"), ("ñ", "n"), ("й", "и")])
def test_letters_that_differ_by_more_than_case_stay_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


# Emails


@given(text=st.one_of(emails, any_text, st.builds("{}@{}".format, any_text, domains)))
def test_an_email_parses_to_itself(text: str) -> None:
    with suppress(InvalidValue):
        email = parse_email(text)
        assert parse_email(email.address) == email
        assert Email.parse(email.address) == email  # its domain is ASCII now


@given(text=emails)
def test_the_canonical_form_of_an_email_is_stable(text: str) -> None:
    email = parse_email(text)
    with suppress(InvalidValue):  # folding may make it too long
        assert parse_email(email.canonical).canonical == email.canonical


@given(text=emails)
def test_emails_that_differ_by_case_or_composition_alone_are_one(text: str) -> None:
    assume("ı" not in text)  # its capital is I, whose lower-case letter is i
    canonical = parse_email(text).canonical
    local, _, domain = text.rpartition("@")
    for variant in (local.upper(), local.casefold(), normalize("NFD", local)):
        with suppress(InvalidValue):  # as above
            assert parse_email(f"{variant}@{domain.title()}").canonical == canonical


@given(local=local_parts, domain=domains)
def test_the_local_part_is_kept_and_the_domain_becomes_ascii(local: str, domain: str) -> None:
    email = parse_email(f" {local}@{domain} ")
    kept, _, ascii_domain = email.address.rpartition("@")
    assert kept == normalize("NFC", local)
    assert ascii_domain.isascii()
    assert ascii_domain == ascii_domain.lower()


@pytest.mark.parametrize(
    ("domain", "ascii_domain"),
    [
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),  # not fass.example: no transitional processing
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),  # an ideographic full stop
        ("ｅｘａｍｐｌｅ.com", "example.com"),  # full-width letters
    ],
)
def test_international_domains_become_a_labels(domain: str, ascii_domain: str) -> None:
    assert parse_email(f"ann@{domain}").address == f"ann@{ascii_domain}"


@pytest.mark.parametrize(
    "domain",
    [
        "", "localhost", ".com", "a..b", "example.com.", "-a.com", "a-.com", "a_b.com", "127.0.0.1", "[127.0.0.1]",
        "a b.com", f"{'a' * 64}.com", "xn--.com", "☃.example", "a\u200db.com", "example.123", "ex@mple.com@",
    ],
)  # fmt: skip
def test_an_invalid_domain_is_rejected(domain: str) -> None:
    assert code_of("Email", f"ann@{domain}") in {"invalid_email", "invalid_domain"}


@pytest.mark.parametrize(
    "local", ["", ".a", "a.", "a..b", "a b", '"a"', "a@b", "a,b", "a\u00a0b", "a\u200bb\u2028", "<a>", "a\\b"]
)
def test_an_invalid_local_part_is_rejected(local: str) -> None:
    assert code_of("Email", f"{local}@example.com") in {"invalid_email", "invalid_character"}


def test_a_local_part_consists_of_letters_some_signs_and_visible_non_ascii_characters() -> None:
    for character in map(chr, (*range(0x3100), *range(0xFE00, 0x10010), 0xE0001, 0x10FFFF)):
        composed = nfc(character)
        seen = all(category(part)[0] not in "ZC" for part in composed)
        fits = composed.isalnum() or composed in ".!#$%&'*+-/=?^_`{|}~" if composed.isascii() else seen
        assert (code_of("Email", f"a{character}a@example.com") is None) == fits, hex(ord(character))


@given(
    domain=st.one_of(
        st.text("aZ09-.", max_size=12),
        st.lists(st.sampled_from(("a" * 63, "b-" * 32, "1", "x1")), max_size=4).map(".".join),
    )
)
def test_a_domain_is_two_labels_or_more_of_which_the_last_is_no_number(domain: str) -> None:
    labels = domain.split(".")
    sound = all(0 < len(label) <= 63 and "-" not in (label[0], label[-1]) for label in labels)
    fits = len(labels) > 1 and sound and not labels[-1].isdigit() and len(domain) <= Email.MAX_LENGTH - len("a@")
    assert (code_of("Email", f"a@{domain}") is None) == fits


def test_an_email_has_254_characters_and_64_before_the_at_at_most() -> None:
    longest = f"{'l' * 64}@{'d' * 63}.{'d' * 63}.{'d' * 61}"
    assert len(longest) == Email.MAX_LENGTH
    assert parse_email(longest).address == longest
    assert code_of("Email", "e\u0301" * 64 + "@example.com") is None
    for too_long in (f"{'l' * 65}@example.com", f"{longest}d", "\u0958" * 64 + "@example.com"):
        assert code_of("Email", too_long) == "too_long"


def test_plus_and_dots_make_different_addresses() -> None:
    texts = ("ann@example.com", "ann+a@example.com", "a.nn@example.com")
    assert len({parse_email(text).canonical for text in texts}) == 3


def test_without_an_answer_for_international_domains_they_are_refused() -> None:
    assert Email.parse("ann@EXAMPLE.com").address == "ann@example.com"
    with pytest.raises(InvalidValue):
        Email.parse("ann@bücher.example")
    with pytest.raises(InvalidValue):
        ascii_domain_only("bücher.example")


# Usernames


@given(text=usernames)
def test_a_username_is_kept_and_unique_in_lower_case(text: str) -> None:
    username = Username.parse(text)
    assert username.text == text
    assert username.canonical == Username.parse(text.upper()).canonical == text.lower()
    assert Username.parse(username.canonical).canonical == username.canonical


@pytest.mark.parametrize(
    "text", ["ab", "a" * 33, "-ab", "_ab", ".ab", "a b", "añb", "\u212aab", "abc\n", " abc", "ab\0c", "ａbc", ""]
)
def test_an_invalid_username_is_rejected(text: str) -> None:
    assert code_of("Username", text) == "invalid_username"


# Ids


def test_an_id_is_a_uuid_in_lower_case() -> None:
    text = str(uuid4())
    assert str(UserId.parse(text.upper())) == str(PostId.parse(text)) == text


@given(text=any_text)
def test_a_non_uuid_is_not_an_id(text: str) -> None:
    assert code_of("UserId", text) == "invalid_id"


@pytest.mark.parametrize(
    "text",
    [
        "0193a7c500007000800000000000000a",
        "{0193a7c5-0000-7000-8000-00000000000a}",
        "0193a7c5-0000-7000-8000-00000000000a\n",
        "0193a7c5-0000-7000-8000-00000000000g",
        "０193a7c5-0000-7000-8000-00000000000a",
        "urn:uuid:0193a7c5-0000-7000-8000-00000000000a",
    ],
)
def test_other_ways_to_write_a_uuid_are_no_ids(text: str) -> None:
    assert code_of("UserId", text) == "invalid_id"


# Search


@given(text=visible_text)
def test_a_prefix_is_folded_as_what_it_searches_is(text: str) -> None:
    assert SearchPrefix.parse(text) == fold(text)


@given(text=visible_text, length=st.integers(min_value=1, max_value=20))
def test_a_folded_name_starts_with_the_prefix_it_was_cut_to(text: str, length: int) -> None:
    name = Name.parse(text)
    prefix = name[:length]
    # The prefix may end between a letter and a mark that composes with it; only then may the match be lost.
    assume(fold(prefix) + fold(name[length:]) == fold(name))
    assert fold(name).startswith(SearchPrefix.parse(prefix))


# Passwords


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=16, max_size=60))
def test_a_password_is_kept_in_nfc_and_nothing_else_is_done_to_it(text: str) -> None:
    assume(len(normalize("NFC", text)) >= Password.MIN_LENGTH)
    password = Password.parse(text)
    assert password.secret == normalize("NFC", text)
    assert Password.parse(password.secret) == password
    assert repr(password) == "Password()"


def test_a_password_has_8_to_256_code_points_after_composition() -> None:
    assert code_of("Password", "e\u0301" * 7) == "too_short"
    assert code_of("Password", "e\u0301" * 8) is None
    assert code_of("Password", "e\u0301" * 256) is None
    assert code_of("Password", "x" * 257) == "too_long"


# Times


@given(moment=st.datetimes(timezones=st.timezones(), allow_imaginary=False, min_value=datetime(1970, 1, 3)))  # noqa: DTZ001
def test_a_time_is_cut_down_to_milliseconds_in_utc(moment: datetime) -> None:
    assume(moment.year < 9999)
    cut = truncate_to_milliseconds(moment)
    assert cut.utcoffset() == timedelta(0)
    assert cut.microsecond % 1_000 == 0
    assert timedelta(0) <= moment - cut < timedelta(milliseconds=1)
    assert truncate_to_milliseconds(cut) == cut


def test_times_of_another_zone_are_the_same_moment() -> None:
    moment = datetime(2026, 11, 20, 22, 36, 0, 123_999, tzinfo=timezone(timedelta(hours=2)))
    assert truncate_to_milliseconds(moment) == datetime(2026, 11, 20, 20, 36, 0, 123_000, tzinfo=UTC)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidValue):
        truncate_to_milliseconds(datetime(2026, 11, 20))  # noqa: DTZ001


# Pitfalls of Unicode, in every position


@pytest.mark.parametrize("parser", PARSERS)
def test_a_pitfall_never_raises_another_error(parser: str) -> None:
    for at in PITFALLS:
        for text in (at, f"a{at}", f"{at}a", f"ann{at}lee@example.com", f"ann@{at}example.com"):
            with suppress(InvalidValue):
                PARSERS[parser](text)


DISORDER: Final = "a" + "\u0301" * 5_000 + "\u0316" * 5_000
"""Combining marks out of order, which a library may process in quadratic time."""


MARKS_AND_BASES: Final = "ae\u0301\u0316\u0345\u0344\u0f71\u0f72\u0f73\u0f75\u0f81\u05b7\u05b0ặ가각\u1100\u1161\u11a8"


@given(st.text(st.sampled_from(MARKS_AND_BASES), max_size=12))
def test_a_text_is_composed_as_unicode_says(text: str) -> None:
    assert nfc(text) == normalize("NFC", text)


@pytest.mark.parametrize("parse", [Name.parse, Bio.parse, Title.parse, Body.parse, Email.parse, Password.parse])
def test_a_text_of_disorderly_marks_is_refused_or_ordered_at_once(parse: Callable[[str], object]) -> None:
    begun = process_time()
    for _ in range(20):
        with suppress(InvalidValue):
            parse(DISORDER)
            parse(f"{DISORDER}@example.org")
        Password.claimed(DISORDER)
    assert process_time() - begun < 5  # the square takes a minute
