"""What an operator can set: `USERPORT_*` variables, or flags that stand in for them."""

import os
import re
from collections.abc import Iterable
from enum import StrEnum
from ipaddress import ip_network
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, SecretStr, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX: Final = "USERPORT_"
COPY_TARGET: Final = f"{PREFIX}COPY_TO"
"""The one variable that is not a setting: only `userport storage copy` reads it."""


_BOOLEAN: Final = TypeAdapter(bool)


class SettingsError(Exception):
    """A setting is wrong; the text is one line that names it and says what to do. It holds no secret."""


class Auth(StrEnum):
    """Who may call the service."""

    OPEN = "open"
    TOKEN = "token"  # noqa: S105 - the mode's name


class SignUp(StrEnum):
    """Who may sign up, and how."""

    TRUE = "true"
    VERIFIED = "verified"
    FALSE = "false"


def _sign_up(value: object) -> object:
    """Take what else stands for a truth value, such as `0` and `no`."""
    if isinstance(value, SignUp) or value == SignUp.VERIFIED:
        return value
    try:
        return SignUp(str(_BOOLEAN.validate_python(value)).lower())
    except ValidationError:
        raise PydanticCustomError("sign_up", "write true, verified or false") from None


def _listed(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _origin(text: str) -> str:
    """Check what a browser sends as `Origin` (RFC 6454, section 6.1)."""
    if text != "*" and re.fullmatch(r"https?://[a-z0-9.\-\[\]:]+", text) is None:
        raise PydanticCustomError("origin", "write origins as https://app.example.com, separated by commas")
    return text


def _proxy(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise PydanticCustomError(
            "proxy", "write IP addresses or networks as 10.0.0.0/8, separated by commas"
        ) from None


_Origins = Annotated[tuple[Annotated[str, BeforeValidator(_origin)], ...], NoDecode, BeforeValidator(_listed)]
_Proxies = Annotated[tuple[Annotated[str, BeforeValidator(_proxy)], ...], NoDecode, BeforeValidator(_listed)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, hide_input_in_errors=True, env_ignore_empty=True, extra="ignore"
    )

    storage: str = Field(
        default="sqlite:///userport.db",
        repr=False,  # it may hold a password
        description="URL of the storage, whose scheme says what kind it is: sqlite:///file.db, postgresql://…",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 for any free one.")
    workers: int = Field(default=1, ge=1, le=128, description="Number of processes that serve.")
    auth: Auth | None = Field(
        default=None, description="open or token; by default token if there is a signing key, and else open."
    )
    signing_key: SecretStr | None = Field(
        default=None, description="What access tokens are signed with: a file of `userport keys new`, or its content."
    )
    issuer: str = Field(default="userport", min_length=1, description="Who the tokens say that they are from (`iss`).")
    audience: str = Field(default="userport", min_length=1, description="Whom the tokens are for (`aud`).")
    sign_up: Annotated[SignUp, BeforeValidator(_sign_up)] = Field(
        default=SignUp.TRUE,
        description="Whether anyone may sign up: true, false, or verified, where a link that is mailed has to be "
        "confirmed first, and no response shows whether an address has an account.",
    )
    sign_in_failures_per_account: int = Field(
        default=5, ge=0, le=1_000, description="How many a minute; 0 for no limit."
    )
    sign_in_failures_per_address: int = Field(
        default=20, ge=0, le=1_000, description="How many a minute; 0 for no limit."
    )
    jobs: bool = Field(default=True, description="Whether `serve` runs background jobs beside requests.")
    mails_per_account: int = Field(
        default=5,
        ge=0,
        le=1_000,
        description="How many mails an hour may be requested for one address; 0 for any number.",
    )
    mails_per_address: int = Field(
        default=20, ge=0, le=1_000, description="How many mails an hour one client may request; 0 for any number."
    )
    max_connections: int = Field(
        default=1_000, ge=1, le=100_000, description="How many connections each process keeps."
    )
    head_timeout: float = Field(
        default=10, gt=0, le=3_600, description="Seconds until a request's line and headers have to be there."
    )
    body_timeout: float = Field(
        default=30, gt=0, le=3_600, description="Seconds that may pass without a byte of a request's body."
    )
    write_timeout: float = Field(
        default=30, gt=0, le=3_600, description="Seconds that may pass without a client reading of its response."
    )
    keep_alive_timeout: float = Field(
        default=75, gt=0, le=3_600, description="Seconds that a connection without a request is kept."
    )
    trusted_proxies: _Proxies = Field(
        default=(), description="Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed: addresses or networks."
    )
    cors_origins: _Origins = Field(
        default=(), description="Which web pages from elsewhere may call: their origins, or * for all."
    )

    @property
    def mode(self) -> Auth:
        return self.auth or (Auth.OPEN if self.signing_key is None else Auth.TOKEN)

    @property
    def asks_for_tokens(self) -> bool:
        return self.mode is Auth.TOKEN

    @property
    def links_begin_with(self) -> str:
        return f"http://{self.host}:{self.port}"


def load_settings(**flags: object) -> Settings:
    """Read the environment; a flag that is not None takes precedence. Raises `SettingsError`."""
    _check_environment()
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0])
        variable = f"{PREFIX}{name.upper()}"
        setting = f"--{name} ({variable})" if name in flags else variable
        raise SettingsError(f"{setting} is wrong: {first['msg']}") from None


def _check_environment() -> None:
    """Raise `SettingsError` for an unknown variable and an empty signing key: either may be a mode gone wrong."""
    names = {name.upper(): name for name in os.environ if name.upper().startswith(PREFIX)}
    known = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields} | {COPY_TARGET}
    for variable in sorted(names.keys() - known):
        raise SettingsError(f"{names[variable]} is unknown{_suggestion(variable, known)}")
    key = f"{PREFIX}SIGNING_KEY"
    if key in names and not os.environ[names[key]].strip():
        raise SettingsError(f"{key} is empty: set it to a file of `userport keys new`, or unset it for open mode")


def _suggestion(variable: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    names = {name.removeprefix(PREFIX): name for name in known}
    close = get_close_matches(variable.removeprefix(PREFIX), names, n=1)
    return f"; did you mean {names[close[0]]}?" if close else ": no setting has a similar name"
