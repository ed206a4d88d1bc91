"""The settings: environment variables `USERPORT_*`, or flags of the same name."""

import os
import re
from collections.abc import Iterable, Mapping
from email.utils import parseaddr
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from entrypoints.environment import COPY_TARGET, PREFIX, Auth, SettingsError
from entrypoints.logs import LogFormat

FILE_SUFFIX: Final = "_FILE"
"""The end of the variable that names a file with a secret setting."""

_MAX_SECRET_BYTES: Final = 64 * 1024


_BOOLEAN: Final = TypeAdapter(bool)


class SignUp(StrEnum):
    """Who may sign up, and how."""

    TRUE = "true"
    VERIFIED = "verified"
    FALSE = "false"


def _sign_up(value: object) -> object:
    """Accept other forms of a truth value, such as `0` and `no`."""
    if isinstance(value, SignUp) or value == SignUp.VERIFIED:
        return value
    try:
        return SignUp(str(_BOOLEAN.validate_python(value)).lower())
    except ValidationError:
        raise PydanticCustomError("sign_up", "write true, verified or false") from None


def _listed(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _origin(text: str) -> str:
    """Validate an origin as browsers send it (RFC 6454, section 6.1)."""
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


def _public_url(text: str) -> str:
    try:
        port = urlsplit(text).port
    except ValueError:
        port = 0
    if port == 0 or re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~%\-/]*)?", text) is None:
        raise PydanticCustomError("public_url", "write it as https://users.example.com, perhaps with a path behind it")
    return text.rstrip("/")


_Origins = Annotated[tuple[Annotated[str, BeforeValidator(_origin)], ...], NoDecode, BeforeValidator(_listed)]
_Proxies = Annotated[tuple[Annotated[str, BeforeValidator(_proxy)], ...], NoDecode, BeforeValidator(_listed)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, hide_input_in_errors=True, env_ignore_empty=True, extra="ignore"
    )

    storage: str = Field(
        default="sqlite:///userport.db",
        repr=False,  # it may hold a password
        description="URL of the storage; its scheme selects the kind: sqlite:///file.db, postgresql://…",
    )
    cache: str | None = Field(
        default=None,
        repr=False,  # it may hold a password
        description="URL of a Redis that caches single users and sessions: redis://[user:password@]host[:port][/0].",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    workers: int = Field(default=1, ge=1, le=128, description="Number of worker processes.")
    auth: Auth | None = Field(
        default=None, description="open or token; by default token if there is a signing key, else open."
    )
    signing_key: SecretStr | None = Field(
        default=None, description="The key that signs access tokens: a file of `userport keys new`, or its content."
    )
    issuer: str = Field(default="userport", min_length=1, description="The issuer of access tokens (`iss`).")
    audience: str = Field(default="userport", min_length=1, description="The audience of access tokens (`aud`).")
    sign_up: Annotated[SignUp, BeforeValidator(_sign_up)] = Field(
        default=SignUp.TRUE,
        description="Whether anonymous callers may sign up: true, false, or verified, which requires a mailed link to "
        "be confirmed first, and hides whether an address has an account.",
    )
    sign_in_failures_per_account: int = Field(
        default=5, ge=0, le=1_000, description="Failed sign-ins per minute; 0 for no limit."
    )
    sign_in_failures_per_address: int = Field(
        default=20, ge=0, le=1_000, description="Failed sign-ins per minute; 0 for no limit."
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
        default=1_000, ge=1, le=100_000, description="Maximum number of connections per process."
    )
    head_timeout: float = Field(
        default=10, gt=0, le=3_600, description="Seconds to receive the request line and headers."
    )
    body_timeout: float = Field(default=30, gt=0, le=3_600, description="Seconds without a byte of a request body.")
    write_timeout: float = Field(
        default=30, gt=0, le=3_600, description="Seconds in which a client reads nothing of its response."
    )
    keep_alive_timeout: float = Field(default=75, gt=0, le=3_600, description="Seconds to keep an idle connection.")
    drain_seconds: float = Field(
        default=0,
        ge=0,
        le=3_600,
        description="Seconds to continue serving after SIGTERM, while `/health/ready` answers 503.",
    )
    trusted_proxies: _Proxies = Field(
        default=(), description="Addresses or networks of proxies whose `X-Forwarded-For` and `-Proto` are trusted."
    )
    mail: str = Field(
        default="file:mail",
        repr=False,  # it may hold a password
        description="Where mail goes: smtp://, smtp+starttls:// or smtps://[user:password@]host[:port], or "
        "file:DIRECTORY for one file per mail.",
    )
    mail_from: str = Field(
        default="userport <no-reply@localhost>",
        description="The sender of mail. Its display name is the name of the service in mails and on pages.",
    )
    mail_templates: Path | None = Field(
        default=None, description="Directory whose files replace the built-in templates of the same name."
    )
    public_url: Annotated[str, AfterValidator(_public_url)] | None = Field(
        default=None, max_length=200, description="What links in mails begin with; by default http://HOST:PORT."
    )
    log_format: LogFormat = Field(
        default=LogFormat.TEXT, description="text, or json for one JSON object per line on standard error."
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of `GET /metrics` for Prometheus, of `serve` and of `userport work`; 0 picks a free one.",
    )
    metrics_host: str = Field(default="127.0.0.1", description="Address of `GET /metrics`.")
    access_log: bool = Field(default=False, description="Whether to log a line per request.")
    cors_origins: _Origins = Field(default=(), description="Origins of web pages that may call the API, or * for all.")

    @property
    def mode(self) -> Auth:
        return self.auth or (Auth.OPEN if self.signing_key is None else Auth.TOKEN)

    @property
    def asks_for_tokens(self) -> bool:
        return self.mode is Auth.TOKEN

    @property
    def links_begin_with(self) -> str:
        """Return the public URL; without one, the address that is served."""
        return self.public_url or format_address(self.host, self.port)

    @property
    def service_name(self) -> str:
        """Return the name of the service in mails and on pages, which is that of the sender."""
        return parseaddr(self.mail_from)[0] or "userport"


def format_address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_secret(name: str) -> bool:
    """Return whether a setting is hidden in the `repr` of all settings."""
    field = Settings.model_fields[name]
    return not field.repr or SecretStr in getattr(field.annotation, "__args__", (field.annotation,))


_SECRETS: Final = tuple(name for name in Settings.model_fields if _is_secret(name))


def load_settings(**flags: object) -> Settings:
    """Read the environment and the files that it names; flags that are not None take precedence.

    Raise `SettingsError`.
    """
    _check_environment()
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    given = {**_read_secret_files(without=given), **given}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0])
        variable = f"{PREFIX}{name.upper()}"
        setting = f"--{name} ({variable})" if name in flags else variable
        raise SettingsError(f"{setting} is wrong: {first['msg']}") from None


def _check_environment() -> None:
    """Raise `SettingsError` for an unknown variable or an empty signing key: either could select the wrong mode."""
    names = {name.upper(): name for name in os.environ if name.upper().startswith(PREFIX)}
    fields = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
    known = fields | {f"{PREFIX}{field.upper()}{FILE_SUFFIX}" for field in _SECRETS} | {COPY_TARGET}
    for variable in sorted(names.keys() - known):
        raise SettingsError(f"{names[variable]} is unknown{_suggestion(variable, known)}")
    for key in (f"{PREFIX}SIGNING_KEY", f"{PREFIX}SIGNING_KEY{FILE_SUFFIX}"):
        if key in names and not os.environ[names[key]].strip():
            raise SettingsError(f"{key} is empty: set it to a file of `userport keys new`, or unset it for open mode")


def _read_secret_files(without: Mapping[str, object]) -> dict[str, str]:
    """Return the settings that are in files: `USERPORT_MAIL_FILE` names one that holds `USERPORT_MAIL`."""
    given = {name.upper(): value for name, value in os.environ.items() if value}
    secrets = {}
    for field in _SECRETS:
        variable = f"{PREFIX}{field.upper()}"
        file = given.get(f"{variable}{FILE_SUFFIX}")
        if file is None or field in without:
            continue
        if variable in given:
            raise SettingsError(f"{variable} and {variable}{FILE_SUFFIX} are both set: unset one of them")
        secrets[field] = read_secret(f"{variable}{FILE_SUFFIX}", Path(file))
    return secrets


def read_secret(variable: str, file: Path) -> str:
    """Read the file that a variable names. Raise `SettingsError`."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_MAX_SECRET_BYTES + 1).decode().strip()
    except OSError as error:
        raise SettingsError(f"{variable} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{variable} names a file that is not UTF-8 text") from None
    if not text or len(text) > _MAX_SECRET_BYTES:
        raise SettingsError(f"{variable} names a file that is {'too large' if text else 'empty'}")
    return text


def _suggestion(variable: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    names = {name.removeprefix(PREFIX): name for name in known}
    close = get_close_matches(variable.removeprefix(PREFIX), names, n=1)
    return f"; did you mean {names[close[0]]}?" if close else ": no setting has a similar name"
