"""Every domain error has a code for machines and a sentence for people."""

import inspect
import re

import pytest

from domain import errors
from domain.errors import DomainError

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, DomainError) and kind is not DomainError
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_domain_error_has_a_code_and_a_sentence(kind: type[DomainError]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)
    assert re.fullmatch(r"[A-Z][^{}%]+", kind.sentence)


def test_no_two_domain_errors_share_a_code() -> None:
    # Clients tell a bad access token from the bad token of a link by the status.
    codes = [kind.code for kind in KINDS if kind is not errors.InvalidOneTimeToken]
    assert len(codes) > 5
    assert len(set(codes)) == len(codes)
