"""What an operator can set: `USERPORT_*` variables, or flags that stand in for them."""

from typing import Any, Final

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX: Final = "USERPORT_"


class SettingsError(Exception):
    """A setting is wrong; the text is one line that names it and says what to do. It holds no secret."""


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


def load_settings(**flags: object) -> Settings:
    """Read the environment; a flag that is not None takes precedence. Raises `SettingsError`."""
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0])
        raise SettingsError(f"--{name} ({PREFIX}{name.upper()}) is wrong: {first['msg']}") from None
