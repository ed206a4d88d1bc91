from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domain.user import User
from domain.values import Email, Name, UserId

NOW = datetime(2026, 11, 20, 20, 36, tzinfo=UTC)
OTHER = Email("ann@example.com", "ann@example.com")


@pytest.fixture
def verified() -> User:
    user = User.register(
        id=UserId("0193a7c5-0000-7000-8000-000000000001"),
        now=NOW,
        email=Email("Ann@example.org", "ann@example.org"),
        name=Name("Ann"),
    )
    return replace(user, email_verified=True)


def test_a_new_user_is_unverified() -> None:
    user = User.register(id=UserId("0193a7c5-0000-7000-8000-000000000001"), now=NOW, email=OTHER, name=Name("Ann"))
    assert not user.email_verified


def test_another_address_is_unverified(verified: User) -> None:
    assert not verified.change(now=NOW, email=OTHER).email_verified


def test_an_address_in_another_case_is_unverified(verified: User) -> None:
    assert not verified.change(now=NOW, email=Email("ann@example.org", "ann@example.org")).email_verified


def test_another_address_is_verified_if_the_change_says_so(verified: User) -> None:
    assert verified.change(now=NOW, email=OTHER, email_verified=True).email_verified


def test_the_same_address_stays_verified(verified: User) -> None:
    assert verified.change(now=NOW, email=verified.email, name=Name("Anna")).email_verified
    assert verified.change(now=NOW, email=verified.email) is verified


def test_a_verification_is_a_new_version(verified: User) -> None:
    changed = replace(verified, email_verified=False).change(now=NOW, email_verified=True)
    assert (changed.email_verified, changed.version) == (True, verified.version + 1)
