import pytest

from domain.errors import FieldChecks, FieldError, InvalidInput
from domain.user import UNSET
from domain.values import Bio, Name, Username


def test_good_fields_come_back_parsed() -> None:
    check = FieldChecks()
    assert check("name", Name.parse, " Ann ") == "Ann"
    check.raise_if_invalid()


def test_a_non_text_passes_unchanged() -> None:
    check = FieldChecks()
    assert check("bio", Bio.parse, None) is None
    assert check("name", Name.parse, UNSET) is UNSET
    check.raise_if_invalid()


def test_every_refused_field_is_named_in_order() -> None:
    check = FieldChecks()
    check("username", Username.parse, "-")
    check("bio", Bio.parse, "fine")
    check("name", Name.parse, "")
    with pytest.raises(InvalidInput) as caught:
        check.raise_if_invalid()
    assert caught.value.errors == (
        FieldError(
            "username",
            "invalid_username",
            "must have 3 to 32 of the characters a-z A-Z 0-9 _ . - and start with a letter or digit",
        ),
        FieldError("name", "blank", "must not be blank"),
    )


def test_a_check_may_be_repeated() -> None:
    check = FieldChecks()
    check("name", Name.parse, "")
    for _ in range(2):
        with pytest.raises(InvalidInput):
            check.raise_if_invalid()
