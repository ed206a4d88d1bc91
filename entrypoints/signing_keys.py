"""The signing keys of access tokens, as the settings name them.

Cryptography is imported late: open mode and most commands do not need it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from application.ports import LinkSecrets, TokenSigner
from entrypoints.environment import PREFIX, SettingsError
from entrypoints.settings import Settings

if TYPE_CHECKING:
    from adapters.security.signing_keys import SigningKeys


def open_signer(settings: Settings, keys: "SigningKeys") -> TokenSigner:
    from adapters.security.access_tokens import JwtSigner

    return JwtSigner(keys, issuer=settings.issuer, audience=settings.audience)


def open_link_secrets(keys: "SigningKeys") -> LinkSecrets:
    from adapters.security.link_secrets import HkdfLinkSecrets

    return HkdfLinkSecrets(keys)


def read_signing_keys(settings: Settings) -> "SigningKeys":
    """Read the keys that are set. Raises `SettingsError`, which never repeats any of them."""
    from adapters.security.signing_keys import SigningKeys

    if settings.signing_key is None:
        raise SettingsError(
            "--auth token needs a signing key: make one with: userport keys new --out FILE, "
            f"then set {PREFIX}SIGNING_KEY=FILE"
        )
    try:
        return SigningKeys.read(settings.signing_key.get_secret_value())
    except ValueError as error:
        raise SettingsError(f"{PREFIX}SIGNING_KEY is wrong: {error}") from error


def new_signing_keys(retired: Path | None) -> "SigningKeys":
    """Return new keys that still verify tokens of the retired file's first key. Raise `SettingsError`."""
    from adapters.security.signing_keys import SigningKeys

    try:
        return SigningKeys.new(None if retired is None else SigningKeys.read(str(retired)))
    except ValueError as error:
        raise SettingsError(f"--retire is wrong: {error}") from error
