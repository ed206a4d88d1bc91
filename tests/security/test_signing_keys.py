import base64
import hashlib
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from adapters.security.signing_keys import SigningKeys

# The example of RFC 8037, appendix A.
RFC_8037: Final = ed25519.Ed25519PrivateKey.from_private_bytes(
    base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
)
RFC_8037_X: Final = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
RFC_8037_THUMBPRINT: Final = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def private_pem(key: PrivateKeyTypes, form: PrivateFormat = PrivateFormat.PKCS8, passphrase: bytes = b"") -> str:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, encryption).decode()


def public_pem(key: PrivateKeyTypes) -> str:
    public = key.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


ED25519: Final = ed25519.Ed25519PrivateKey.generate()
P256: Final = ec.generate_private_key(ec.SECP256R1())
RSA: Final = rsa.generate_private_key(65537, 2048)


def ids(keys: SigningKeys) -> list[str]:
    return list(keys.verifying)


@pytest.fixture
def key_file(tmp_path: Path) -> Callable[..., str]:
    """Write a file and return its path."""

    def write(content: str | bytes, mode: int = 0o600) -> str:
        path = tmp_path / "signing.pem"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return str(path)

    return write


# Valid keys


def test_a_key_is_named_by_its_thumbprint() -> None:
    key = SigningKeys(RFC_8037).signing
    assert key.jwk["x"] == RFC_8037_X
    assert key.id == key.jwk["kid"] == RFC_8037_THUMBPRINT


@pytest.mark.parametrize("_", range(30))  # enough to get a coordinate with a leading zero byte now and then
def test_a_p256_key_is_named_by_its_thumbprint(_: int) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    key = SigningKeys(private).signing
    numbers = private.public_key().public_numbers()
    coordinates = [
        base64.urlsafe_b64encode(number.to_bytes(32)).rstrip(b"=").decode() for number in (numbers.x, numbers.y)
    ]
    assert [key.jwk["x"], key.jwk["y"]] == coordinates
    canonical = '{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}'.format(*coordinates)
    assert key.id == base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()


@pytest.mark.parametrize(("private", "algorithm"), [(ED25519, "EdDSA"), (P256, "ES256")])
def test_a_key_can_be_given_as_text_or_as_a_file(
    key_file: Callable[..., str], private: PrivateKeyTypes, algorithm: str
) -> None:
    text = private_pem(private)
    keys = SigningKeys.read(text)
    assert keys.signing.algorithm == algorithm
    forms = [
        text.replace("\n", "\\n"),
        text.replace("\n", "\\r\\n"),
        text.replace("\n", "\r\n"),
        f"  {text}\n\n",
        text.strip(),
        f"A key, written down on a Friday:\n{text}",
    ]
    for form in forms:
        assert ids(SigningKeys.read(form)) == ids(keys)
        assert ids(SigningKeys.read(key_file(form.replace("\\r", "").replace("\\n", "\n")))) == ids(keys)


def test_the_first_key_signs_and_all_verify() -> None:
    private, public = private_pem(ED25519), public_pem(P256)
    keys = SigningKeys.read(f"{private}\n# the one before\n{public}{private_pem(RFC_8037)}")
    assert keys.signing.algorithm == "EdDSA"
    assert ids(keys) == [SigningKeys(key).signing.id for key in (ED25519, P256, RFC_8037)]


def test_a_key_that_is_there_twice_counts_once() -> None:
    keys = SigningKeys.read(private_pem(ED25519) + public_pem(ED25519) + private_pem(ED25519))
    assert ids(keys) == [SigningKeys(ED25519).signing.id]


def test_what_was_written_is_read() -> None:
    first = SigningKeys.new()
    second = SigningKeys.new(first)
    third = SigningKeys.new(second)
    assert ids(second) == [second.signing.id, first.signing.id]
    assert ids(third) == [third.signing.id, second.signing.id]  # the first key was retired earlier
    for keys in (first, second, third, SigningKeys(P256, [ED25519.public_key()])):
        text = keys.to_pem()
        assert text.count("PRIVATE KEY") == 2
        assert ids(SigningKeys.read(text)) == ids(keys)


# Invalid keys


WRONG: Final = {
    "": "empty",
    " \n": "empty",
    "/no/such/file.pem": "No such file",
    "/": "Is a directory",
    "a\0b": "neither a readable file",
    "x" * 10_000: "neither a readable file",
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v": "neither a readable file",
    public_pem(ED25519): "first key is a public key",
    public_pem(ED25519) + private_pem(ED25519): "first key is a public key",
    private_pem(ED25519, passphrase=b"secret"): "encrypted",
    private_pem(P256, PrivateFormat.TraditionalOpenSSL, b"secret"): "encrypted",
    private_pem(P256, PrivateFormat.TraditionalOpenSSL): "old form",
    private_pem(RSA): "neither Ed25519 nor P-256",
    private_pem(RSA, PrivateFormat.TraditionalOpenSSL): "neither PRIVATE KEY nor PUBLIC KEY",
    private_pem(ED25519) + public_pem(RSA): "neither Ed25519 nor P-256",
    private_pem(ec.generate_private_key(ec.SECP384R1())): "neither Ed25519 nor P-256",
    private_pem(ec.generate_private_key(ec.SECP256K1())): "neither Ed25519 nor P-256",
    private_pem(ed448.Ed448PrivateKey.generate()): "neither Ed25519 nor P-256",
    private_pem(x25519.X25519PrivateKey.generate()): "neither Ed25519 nor P-256",
    private_pem(ED25519, PrivateFormat.OpenSSH): "neither PRIVATE KEY nor PUBLIC KEY",
    private_pem(ED25519).replace("MC4C", "MC4D"): "damaged",
    private_pem(ED25519).replace("-----END PRIVATE KEY-----", ""): "truncated",
    private_pem(ED25519)[:-30] + public_pem(P256): "truncated",
    private_pem(ED25519)[:-30] + private_pem(P256): "truncated",
    private_pem(ED25519) + public_pem(P256)[:40]: "truncated",
    "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n": "damaged",
    private_pem(ED25519) + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n": "neither PRIVATE KEY nor",
}


def error_of(text: str) -> str:
    with pytest.raises(ValueError, match=r"\w") as refused:
        SigningKeys.read(text)
    return str(refused.value)


@pytest.mark.parametrize(("text", "reason"), WRONG.items(), ids=WRONG.values())
def test_an_error_is_reported_in_one_line_without_the_content(text: str, reason: str) -> None:
    message = error_of(text)
    assert reason in message
    assert "\n" not in message
    assert not any(line in message for line in text.split() if len(line) > 12 and "-----" not in line)


@pytest.mark.parametrize("content", ["", "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v", b"\x30\x2e\x02\x01\x00\xff", "{}"])
def test_a_file_with_no_key_in_it_is_refused(key_file: Callable[..., str], content: str | bytes) -> None:
    assert "no key in PEM" in error_of(key_file(content))


def test_a_file_that_is_no_file_of_keys_is_not_read_to_its_end(key_file: Callable[..., str]) -> None:
    assert "too large" in error_of(key_file(b"\n" * 10_000_000))
    assert "too large" in error_of("/dev/zero")


@given(
    text=st.text()
    | st.builds(
        lambda text, at, put: text[: at % len(text)] + put + text[at % len(text) + 1 :],
        st.sampled_from([private_pem(ED25519), public_pem(P256), private_pem(ED25519) + public_pem(P256)]),
        st.integers(min_value=0),
        st.text(max_size=3),
    )
)
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert SigningKeys.read(text).verifying


# Secrecy


def test_no_repr_shows_a_key() -> None:
    keys = SigningKeys.read(private_pem(RFC_8037))
    shown = f"{keys!r} {keys} {keys.signing!r}"
    assert RFC_8037_X not in shown
    assert "d" not in keys.signing.jwk
    assert '"d"' not in json.dumps([dict(key.jwk) for key in keys.verifying.values()])


@pytest.mark.parametrize(
    ("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o444, True)]
)
def test_a_file_that_others_can_read_is_warned_of(
    key_file: Callable[..., str], caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    with caplog.at_level(logging.WARNING, "userport"):
        SigningKeys.read(key_file(private_pem(RFC_8037), mode))
    assert [record.name for record in caplog.records] == ["userport"] * warned
    assert all("chmod 600" in record.getMessage() for record in caplog.records)
    assert "MC4C" not in caplog.text
