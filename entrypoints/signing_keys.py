"""The signing keys of access tokens, as the settings name them.

Cryptography is imported late: open mode and most commands do not need it.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from application.ports import LinkSecrets, TokenSigner
from entrypoints.environment import PREFIX, SettingsError
from entrypoints.logs import announce
from entrypoints.settings import FILE_SUFFIX, Settings, read_secret

if TYPE_CHECKING:
    from adapters.security.signing_keys import SigningKeys

_VARIABLE: Final = f"{PREFIX}SIGNING_KEY"
_LOOK_INTERVAL_SECONDS: Final = 1.0

_log: Final = logging.getLogger("userport.keys")


class SigningKeyReload:
    """Replaces the signing keys of a process when their file changes. An invalid file leaves them unchanged."""

    def __init__(self, settings: Settings, keys: "SigningKeys", verify_again: Callable[[], None]) -> None:
        """`verify_again` is called after a replacement."""
        self._settings = settings
        self._keys = keys
        self._verify_again = verify_again
        named = {name.upper(): value for name, value in os.environ.items()}.get(f"{_VARIABLE}{FILE_SUFFIX}")
        self._secret_file = Path(named) if named else None
        self._loaded: tuple[int, ...] | None = None  # the file may have changed since the keys in use were read
        self._seen = self._state()

    async def watch(self) -> None:
        """Check the file once a second until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_INTERVAL_SECONDS)
            self.look()

    def look(self) -> None:
        """Reload the keys if their file has changed, and is the same as at the last look: it may be half written."""
        state = self._state()
        if state is not None and state == self._seen != self._loaded:
            self.reload(log_same=self._loaded is not None)
        self._seen = state

    def reload(self, *, log_same: bool = True) -> None:
        """Read the keys again, and log the result in one line, with `log_same` also if they are the same."""
        self._loaded = self._state()
        try:
            newer = read_signing_keys(self._settings_again())
        except SettingsError as error:
            _log.warning("the signing keys remain as they are: %s", error)
            return
        is_same = newer.signing.id == self._keys.signing.id and newer.verifying.keys() == self._keys.verifying.keys()
        if is_same and not log_same:
            return
        self._keys.replace(newer)
        self._verify_again()
        verifying = len(newer.verifying)
        announce(
            f"Signing keys were read again: {newer.signing.id} signs, {verifying} verify", self._settings.log_format
        )

    def _settings_again(self) -> Settings:
        if self._secret_file is None:
            return self._settings
        text = read_secret(f"{_VARIABLE}{FILE_SUFFIX}", self._secret_file)
        return self._settings.model_copy(update={"signing_key": SecretStr(text)})

    def _state(self) -> tuple[int, ...] | None:
        """Return a fingerprint that changes with the file or a link to it; None without a file."""
        key = self._settings.signing_key
        try:
            found = (self._secret_file or Path(key.get_secret_value() if key else "")).stat()
        except (OSError, ValueError):  # it is being replaced, or the key itself is in the environment
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def open_signer(settings: Settings, keys: "SigningKeys") -> TokenSigner:
    from adapters.security.access_tokens import JwtSigner

    return JwtSigner(keys, issuer=settings.issuer, audience=settings.audience)


def open_link_secrets(keys: "SigningKeys") -> LinkSecrets:
    from adapters.security.link_secrets import HkdfLinkSecrets

    return HkdfLinkSecrets(keys)


def read_signing_keys(settings: Settings) -> "SigningKeys":
    """Read the configured keys. Raises `SettingsError`, which never contains a key."""
    from adapters.security.signing_keys import SigningKeys

    if settings.signing_key is None:
        raise SettingsError(
            f"--auth token needs a signing key: make one with: userport keys new --out FILE, then set {_VARIABLE}=FILE"
        )
    try:
        return SigningKeys.read(settings.signing_key.get_secret_value())
    except ValueError as error:
        raise SettingsError(f"{_VARIABLE} is wrong: {error}") from error


def new_signing_keys(retired: Path | None) -> "SigningKeys":
    """Return new keys that still verify tokens of the retired file's first key. Raise `SettingsError`."""
    from adapters.security.signing_keys import SigningKeys

    try:
        return SigningKeys.new(None if retired is None else SigningKeys.read(str(retired)))
    except ValueError as error:
        raise SettingsError(f"--retire is wrong: {error}") from error
