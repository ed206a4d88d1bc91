"""A secret can be in a file, which a variable names whose end is `_FILE`."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from entrypoints.environment import SettingsError
from entrypoints.settings import load_settings
from tests.cli.commands import userport


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STORAGE", "MAIL", "SIGNING_KEY", "CACHE"):
        monkeypatch.delenv(f"USERPORT_{name}", raising=False)


@pytest.mark.parametrize("name", ["storage", "mail", "signing_key", "cache"])
def test_every_secret_can_be_in_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    file.write_text("smtp://ann:secret@localhost\n")
    monkeypatch.setenv(f"USERPORT_{name.upper()}_FILE", str(file))
    settings = load_settings()
    value = getattr(settings, name)
    assert (value.get_secret_value() if isinstance(value, SecretStr) else value) == "smtp://ann:secret@localhost"
    assert "secret" not in repr(settings)


def test_a_flag_takes_precedence_over_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERPORT_STORAGE_FILE", str(tmp_path / "nothing"))
    assert load_settings(storage="memory://").storage == "memory://"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "USERPORT_MAIL_FILE cannot be read: No such file or directory"),
        (b"", "USERPORT_MAIL_FILE names a file that is empty"),
        (b" \n", "USERPORT_MAIL_FILE names a file that is empty"),
        (b"\xff", "USERPORT_MAIL_FILE names a file that is not UTF-8 text"),
        (b"x" * 70_000, "USERPORT_MAIL_FILE names a file that is too large"),
    ],
)
def test_a_file_that_cannot_be_used_is_reported(
    content: bytes | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("USERPORT_MAIL_FILE", str(file))
    with pytest.raises(SettingsError, match=f"^{message}$"):
        load_settings()


def test_a_secret_is_given_once(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("memory://")
    ended = userport(
        "storage", "ping", cwd=tmp_path, USERPORT_STORAGE="memory://", USERPORT_STORAGE_FILE=str(tmp_path / "secret")
    )
    assert (ended.exit_code, ended.errors.count("\n")) == (2, 1)
    assert "USERPORT_STORAGE and USERPORT_STORAGE_FILE are both set" in ended.errors


@pytest.mark.parametrize("name", ["USERPORT_PORT_FILE", "USERPORT_PUBLIC_URL_FILE"])
def test_what_is_no_secret_has_no_file(tmp_path: Path, name: str) -> None:
    ended = userport("storage", "ping", cwd=tmp_path, pipe=b"", **{name: "secret"})
    assert (ended.exit_code, ended.errors.count("\n")) == (2, 1)
    assert f"{name} is unknown" in ended.errors


def test_an_empty_file_variable_of_the_signing_key_is_no_open_mode(tmp_path: Path) -> None:
    ended = userport("serve", cwd=tmp_path, USERPORT_SIGNING_KEY_FILE="")
    assert (ended.exit_code, ended.errors.count("\n")) == (2, 1)
    assert "USERPORT_SIGNING_KEY_FILE is empty" in ended.errors
