"""TLS options of a storage URL are validated when the storage is opened, before any connection."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from entrypoints.environment import SettingsError
from entrypoints.storage_by_url import open_storage
from tests.cli.commands import userport

_DAY: Final = timedelta(days=1)
_REDIS: Final = "rediss://secret@db.internal/0"
_CLUSTER: Final = "rediss+cluster://secret@db.internal"
_MARIADB: Final = "mariadb://secret@db.internal/users"
_MONGODB: Final = "mongodb://secret:secret@db.internal/users"
_POSTGRESQL: Final = "postgresql://secret@db.internal/users"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Files for the URLs of the tests, named by their content."""
    key, other_key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    certificate = _certificate(key)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    contents = {
        "certificate": certificate,
        "key": _pem(key),
        "other_key": _pem(other_key),
        "encrypted_key": encrypted,
        "both": certificate + _pem(key),
        "neither": b"This is a letter.",
        "empty": b"",
    }
    directory = tmp_path_factory.mktemp("secret")
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    return {name: str(directory / name) for name in (*contents, "nothing")} | {"directory": str(directory)}


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _certificate(key: EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "userport")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + _DAY)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    "url",
    [
        f"{_REDIS}?ssl_ca={{certificate}}",
        f"{_CLUSTER}?ssl_ca={{certificate}}",
        f"{_MARIADB}?ssl_ca={{certificate}}&ssl_cert={{certificate}}&ssl_key={{key}}",
        f"{_MARIADB}?ssl_cert={{both}}",
        f"{_MONGODB}?tls=true&tlsCAFile={{certificate}}&tlsCertificateKeyFile={{both}}",
        f"{_MONGODB}?tls=true",
        f"{_POSTGRESQL}?sslmode=require",
    ],
)
async def test_a_url_with_the_files_that_it_needs_is_opened(files: Mapping[str, str], url: str) -> None:
    await open_storage(url.format(**files)).close()


@pytest.mark.parametrize(
    "url",
    [
        *(f"{_REDIS}?ssl_ca={file}" for file in ("{nothing}", "{neither}", "{empty}", "{directory}", "{key}", "")),
        f"{_CLUSTER}?ssl_ca={{nothing}}",
        f"{_REDIS}?ssl_ca={{certificate}}&ssl_ca={{certificate}}",
        *(f"{_MARIADB}?ssl_ca={file}" for file in ("{nothing}", "{neither}", "{directory}", "a%00b")),
        f"{_MARIADB}?ssl_cert={{certificate}}",
        f"{_MARIADB}?ssl_key={{key}}",
        f"{_MARIADB}?ssl_ca={{certificate}}&ssl_key={{key}}",
        *(f"{_MARIADB}?ssl_cert={{certificate}}&ssl_key={file}" for file in ("{other_key}", "{nothing}", "{neither}")),
        f"{_MARIADB}?ssl_cert={{certificate}}&ssl_key={{encrypted_key}}",
        f"{_MARIADB}?ssl_ca={{certificate}}&ssl_ca={{certificate}}",
        *(f"{_MONGODB}?tls=true&tlsCAFile={file}" for file in ("{nothing}", "{neither}", "{directory}", "")),
        f"{_MONGODB}?tls=true&tlsCertificateKeyFile={{certificate}}",
        f"{_MONGODB}?tls=true&tlsCertificateKeyFile={{nothing}}",
        f"{_MONGODB}?tlsCAFile={{certificate}}",
        f"{_MONGODB}?tls=false&tlsCAFile={{certificate}}",
        f"{_MONGODB}?tls=true&tls=false",
        f"{_POSTGRESQL}?sslmode=secret",
        f"{_POSTGRESQL}?sslmode=require&sslmode=disable",
    ],
)
def test_a_url_whose_files_are_of_no_use_is_refused_without_being_repeated(files: Mapping[str, str], url: str) -> None:
    with pytest.raises(SettingsError, match=r"its option|repeats an option") as refusal:
        open_storage(url.format(**files))
    message = str(refusal.value)
    assert len(message.splitlines()) == 1
    assert not any(part in message for part in ("secret", "internal", "users", *files.values()))


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
@pytest.mark.parametrize("file", ["nothing", "neither"])
def test_postgresql_is_verified_by_authorities_that_are_there(
    files: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, mode: str, file: str
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", files[file])
    with pytest.raises(SettingsError, match="PGSSLROOTCERT") as refusal:
        open_storage(f"{_POSTGRESQL}?sslmode={mode}")
    assert files[file] not in str(refusal.value)
    monkeypatch.setenv("PGSSLROOTCERT", files["certificate"])
    open_storage(f"{_POSTGRESQL}?sslmode={mode}")


def test_a_command_ends_with_one_line_about_it(files: Mapping[str, str]) -> None:
    ended = userport("storage", "ping", "--storage", f"{_REDIS}?ssl_ca={files['nothing']}")
    assert (ended.exit_code, ended.text) == (2, "")
    assert ended.errors.rstrip().endswith("the file of its option ssl_ca does not exist or cannot be read")
    assert len(ended.errors.splitlines()) == 1
