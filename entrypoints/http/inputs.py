from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticKnownError

_MAX_UNKNOWN_MEMBERS: Final = 100


class InputModel(BaseModel):
    """Base of models for client input; rejects unknown members."""

    model_config = ConfigDict(extra="forbid")

    _max_members: ClassVar[int]

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        cls._max_members = len(cls.model_fields) + _MAX_UNKNOWN_MEMBERS

    @model_validator(mode="before")
    @classmethod
    def _check_size(cls, members: object) -> object:
        if isinstance(members, dict) and len(members) > cls._max_members:
            # Thousands of unknown members, one error each, would block all other requests.
            raise PydanticKnownError(
                "too_long", {"field_type": "Object", "max_length": cls._max_members, "actual_length": None}
            )
        return members
