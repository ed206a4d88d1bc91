import asyncio

import pytest

from application.passwords import Passwords
from domain.errors import InvalidValue, TooBusy
from domain.values import Password
from tests.application.fakes import OneCommonPassword, ReadableHasher


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


def test_the_repr_of_a_password_reveals_nothing(passwords: Passwords) -> None:
    assert "horse" not in repr(passwords.parse("correct horse", own=[]))


@pytest.mark.parametrize(
    ("addresses", "limit"),
    [
        (["192.0.2.1"] * 33, 32),
        (["::ffff:192.0.2.1", "192.0.2.1"] * 17, 32),
        ([f"2001:db8::{number:x}" for number in range(33)], 32),
        ([f"2001:db8:0:{number:x}::1" for number in range(49)], 48),
    ],
)
async def test_one_network_or_site_never_takes_all_the_room_there_is(addresses: list[str], limit: int) -> None:
    may_end = asyncio.Event()

    class SlowHasher(ReadableHasher):
        async def hash(self, password: Password) -> str:
            await may_end.wait()
            return await super().hash(password)

    passwords = Passwords(SlowHasher(), OneCommonPassword())
    password = passwords.parse("correct horse", own=[])
    work = [asyncio.create_task(passwords.hash(password, address)) for address in addresses]
    await asyncio.sleep(0)
    other = asyncio.create_task(passwords.hash(password, "2001:db8:1::1"))
    await asyncio.sleep(0)
    may_end.set()
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [str] * limit + [TooBusy] * (len(addresses) - limit)
    await other
    for address in addresses:  # nothing remains of finished work
        await passwords.hash(password, address)
