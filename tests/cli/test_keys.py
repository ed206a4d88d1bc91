import errno
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.security.access_tokens import JwtSigner
from adapters.security.signing_keys import SigningKeys
from application.ports import AccessTokenClaims, TokenSigner
from domain.user import Role
from domain.values import SessionId, UserId
from entrypoints.environment import SettingsError
from entrypoints.settings import load_settings
from entrypoints.signing_keys import open_signer, read_signing_keys
from tests.cli.commands import userport

NOW = datetime(2026, 11, 20, 20, 36, tzinfo=UTC)
ACCESS = AccessTokenClaims(
    user_id=UserId("0193a7c5-0000-7000-8000-00000000000a"),
    session_id=SessionId("0193a7c5-0000-7000-8000-00000000000b"),
    role=Role.MEMBER,
    expires_at=NOW + timedelta(minutes=15),
)


def signer_of(path: Path) -> JwtSigner:
    return JwtSigner(SigningKeys.read(str(path)), issuer="userport", audience="userport")


def test_a_new_key_signs_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = userport("keys", "new", "--out", tmp_path / "key.pem")
    finally:
        os.umask(before)
    assert (made.exit_code, made.errors) == (0, "")
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    signer = signer_of(tmp_path / "key.pem")
    assert signer.verify(signer.sign(ACCESS, NOW), NOW) == ACCESS
    (public,) = signer.public_keys()
    assert public["alg"] == "EdDSA"
    assert public["kid"] in made.text
    assert f"USERPORT_SIGNING_KEY={tmp_path / 'key.pem'}" in made.text
    assert made.text.count("\n") == 1
    assert "PRIVATE" not in made.text


def test_no_two_new_keys_are_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert userport("keys", "new", "--out", name, cwd=tmp_path).exit_code == 0
    assert (tmp_path / "a").read_text() != (tmp_path / "b").read_text()


def test_what_a_retired_key_has_signed_stays_good(tmp_path: Path) -> None:
    old, new, newest = (tmp_path / name for name in ("old", "new", "newest"))
    assert userport("keys", "new", "--out", old).exit_code == 0
    assert userport("keys", "new", "--out", new, "--retire", old).exit_code == 0
    assert userport("keys", "new", "--out", newest, "--retire", new).exit_code == 0
    token = signer_of(old).sign(ACCESS, NOW)
    assert signer_of(new).verify(token, NOW) == ACCESS
    assert signer_of(newest).verify(signer_of(new).sign(ACCESS, NOW), NOW) == ACCESS
    assert [len(signer_of(path).public_keys()) for path in (old, new, newest)] == [1, 2, 2]
    assert new.read_text().count("BEGIN PRIVATE KEY") == 1  # the retired key no longer signs


@pytest.mark.parametrize("kind", ["file", "directory", "link", "dangling link"])
def test_nothing_that_exists_is_overwritten(tmp_path: Path, kind: str) -> None:
    out, elsewhere = tmp_path / "key.pem", tmp_path / "elsewhere"
    match kind:
        case "file":
            out.write_text("precious")
        case "directory":
            out.mkdir()
        case "link":
            elsewhere.write_text("precious")
            out.symlink_to(elsewhere)
        case _:
            out.symlink_to(elsewhere)
    ended = userport("keys", "new", "--out", out)
    assert ended.exit_code == 1
    assert "already exists" in ended.errors
    assert ended.errors.count("\n") == 1
    assert kind not in {"file", "link"} or out.read_text() == "precious"
    assert kind != "dangling link" or not elsewhere.exists()


def test_a_file_that_cannot_be_written_whole_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    ended = userport("keys", "new", "--out", tmp_path / "key.pem")
    assert ended.exit_code == 1
    assert "No space left" in ended.errors
    assert not (tmp_path / "key.pem").exists()


def test_a_missing_directory_is_reported(tmp_path: Path) -> None:
    ended = userport("keys", "new", "--out", tmp_path / "nowhere" / "key.pem")
    assert ended.exit_code == 1
    assert "No such file or directory" in ended.errors


@pytest.mark.parametrize("content", [None, "", "no key"])
def test_a_retired_file_without_a_key_is_refused_before_anything_is_made(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "old").write_text(content)
    ended = userport("keys", "new", "--out", "new", "--retire", "old", cwd=tmp_path)
    assert ended.exit_code == 2
    assert ended.errors.startswith("userport: --retire is wrong: ")
    assert ended.errors.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_out_is_needed() -> None:
    assert userport("keys", "new").exit_code == 2


# In the settings


def _signer(setting: str | None) -> TokenSigner:
    settings = load_settings(signing_key=setting)
    return open_signer(settings, read_signing_keys(settings))


def test_a_key_in_the_settings_is_a_path_or_the_key_itself(tmp_path: Path) -> None:
    made = SigningKeys.new()
    path = tmp_path / "key.pem"
    path.write_text(made.to_pem())
    path.chmod(0o600)
    for setting in (str(path), made.to_pem(), made.to_pem().replace("\n", "\\n")):
        (key,) = _signer(setting).public_keys()
        assert key["kid"] == made.signing.id


@pytest.mark.parametrize("setting", [None, "/no/such/file", "MC4CAQAwBQYDK2Vw", "-----BEGIN PRIVATE KEY-----"])
def test_a_wrong_key_in_the_settings_is_reported_with_the_name_of_the_setting(
    setting: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("USERPORT_SIGNING_KEY", raising=False)
    with pytest.raises(SettingsError, match="USERPORT_SIGNING_KEY") as refused:
        _signer(setting)
    assert setting is None or setting not in str(refused.value)
