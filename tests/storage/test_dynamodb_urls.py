import pytest

from adapters.dynamodb.address import Address, parse_address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("dynamodb://eu-west-1/users", Address("eu-west-1", "users", None)),
        (
            "dynamodb://local/My.users_-1?endpoint=http://127.0.0.1:8000",
            Address("local", "My.users_-1", "http://127.0.0.1:8000"),
        ),
        (
            "dynamodb://eu-west-1/users?endpoint=https%3A%2F%2Fdynamodb.example.org%2F",
            Address("eu-west-1", "users", "https://dynamodb.example.org/"),
        ),
    ],
)
def test_a_url_names_a_region_a_table_and_perhaps_an_endpoint(url: str, address: Address) -> None:
    assert parse_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "dynamodb://",
        "dynamodb:///users",
        "dynamodb://eu-west-1",
        "dynamodb://eu-west-1/",
        "dynamodb://eu-west-1/ab",
        "dynamodb://eu-west-1/users/more",
        "dynamodb://eu-west-1/us%20ers",
        "dynamodb://eu-west-1:8000/users",
        "dynamodb://key:secret@eu-west-1/users",
        "dynamodb://eu-west-1/users#secret",
        "dynamodb://eu-west-1/users?secret",
        "dynamodb://eu-west-1/users?secret=secret",
        "dynamodb://eu-west-1/users?endpoint=",
        "dynamodb://eu-west-1/users?endpoint=127.0.0.1:8000",
        "dynamodb://eu-west-1/users?endpoint=ftp://127.0.0.1",
        "dynamodb://eu-west-1/users?endpoint=http://key:secret@127.0.0.1",
        "dynamodb://eu-west-1/users?endpoint=http://127.0.0.1:secret",
        "dynamodb://eu-west-1/users?endpoint=http://127.0.0.1/secret",
        "dynamodb://eu-west-1/users?endpoint=http://127.0.0.1&endpoint=http://127.0.0.2",
        "dynamodb://[secret/users",
        "memory://",
    ],
)
def test_a_url_that_is_wrong_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refusal:
        parse_address(url)
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None
