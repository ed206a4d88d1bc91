from typing import Final

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticKnownError

_MAX_UNKNOWN_MEMBERS: Final = 100


class InputModel(BaseModel):
    """What a client sends, with no unknown members."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _check_size(cls, members: object) -> object:
        limit = len(cls.model_fields) + _MAX_UNKNOWN_MEMBERS
        if isinstance(members, dict) and len(members) > limit:
            # An error for each of thousands would block all other requests meanwhile.
            raise PydanticKnownError("too_long", {"field_type": "Object", "max_length": limit, "actual_length": None})
        return members
