import pytest

from application.passwords import Passwords
from domain.errors import InvalidValue
from tests.application.surroundings import OneCommonPassword, ReadableHasher


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(ReadableHasher(), OneCommonPassword())


def test_a_long_password_of_any_script_is_accepted_in_nfc(passwords: Passwords) -> None:
    assert passwords.parse("cafe\u0301 пароль 密码", own=[]).secret == "café пароль 密码"


@pytest.mark.parametrize("text", ["ANN@example.com", "ann@EXAMPLE.com", "ANN@EXAMPLE.COM"])
def test_what_belongs_to_the_user_is_refused_in_any_case(passwords: Passwords, text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        passwords.parse(text, own=["  ann@example.com "])
    assert caught.value.code == "own_data"


def test_a_refusal_does_not_repeat_the_password(passwords: Passwords) -> None:
    with pytest.raises(InvalidValue) as caught:
        passwords.parse("iloveyou123", own=[])
    assert "iloveyou" not in str(caught.value)


def test_the_repr_of_a_password_tells_nothing(passwords: Passwords) -> None:
    assert "horse" not in repr(passwords.parse("correct horse", own=[]))
