from typing import Final

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticKnownError

_MAX_UNKNOWN_MEMBERS: Final = 100


class InputModel(BaseModel):
    """Base of models for client input; rejects unknown members."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _check_size(cls, members: object) -> object:
        limit = len(cls.model_fields) + _MAX_UNKNOWN_MEMBERS
        if isinstance(members, dict) and len(members) > limit:
            # Thousands of unknown members, one error each, would block all other requests.
            raise PydanticKnownError("too_long", {"field_type": "Object", "max_length": limit, "actual_length": None})
        return members
