"""The models of request bodies, and the base of every model for client input.

They check the names and JSON types of fields. The domain checks values, because it normalises them first; the models
only document those rules.
"""

from typing import Annotated, Any, ClassVar, Final, TypeAlias

from fastapi import Body
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticKnownError

import application.posts.service as posts
import application.users.service as users
import domain.values
from domain.user import Role
from domain.values import Bio, Email, Name, Password, Title, Username
from entrypoints.http import examples

_MAX_UNKNOWN_MEMBERS: Final = 100


def _text(description: str, **schema: Any) -> Any:
    return Field(description=description, json_schema_extra=schema)


# One line of visible text: no control characters, and at least one character that is not white space.
_LINE = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"

EmailText: TypeAlias = Annotated[
    str,
    _text(
        "Trimmed and normalised to NFC; the domain is stored as lower-case A-labels. Unique, ignoring case.",
        format="idn-email",  # RFC 6531; `email` would be ASCII only
        maxLength=Email.MAX_LENGTH,
        examples=["ann@example.com"],
    ),
]
NameText: TypeAlias = Annotated[
    str,
    _text(
        "In any script; trimmed and normalised to NFC.",
        minLength=1,
        maxLength=Name.MAX_LENGTH,
        pattern=_LINE,
        examples=["Ann"],
    ),
]
UsernameText: TypeAlias = Annotated[
    str,
    _text("Unique, ignoring case.", pattern=f"^{Username.PATTERN}$", minLength=3, maxLength=32, examples=["ann"]),
]
BioText: TypeAlias = Annotated[
    str, _text("May contain line breaks and tabs.", maxLength=Bio.MAX_LENGTH, examples=["Likes ports."])
]
PasswordText: TypeAlias = Annotated[
    str,
    _text(
        "Never returned. Must not be among the most common passwords, nor the user's own email, name or username.",
        format="password",
        writeOnly=True,
        minLength=Password.MIN_LENGTH,
        maxLength=Password.MAX_LENGTH,
        examples=["correct horse battery"],
    ),
]
CurrentPasswordText: TypeAlias = Annotated[
    str,
    _text("The caller's password.", format="password", writeOnly=True, examples=["correct horse battery"]),
]
TitleText: TypeAlias = Annotated[
    str,
    _text(
        "Trimmed and normalised to NFC.", minLength=1, maxLength=Title.MAX_LENGTH, pattern=_LINE, examples=["On ports"]
    ),
]
BodyText: TypeAlias = Annotated[
    str,
    _text(
        "Trimmed and normalised to NFC; may contain line breaks and tabs.",
        minLength=1,
        maxLength=domain.values.Body.MAX_LENGTH,
        examples=["A port is\na promise."],
    ),
]
RoleText: TypeAlias = Annotated[
    Role, Field(strict=False, description="A `member` may access their own data, an `admin` everything.")
]
Active: TypeAlias = Annotated[bool, Field(description="Whether the user may sign in.")]


ADMIN_FIELDS: Final = frozenset({"role", "active"})
"""Fields that only an admin may set."""

# Never read: `model_fields_set` has the names of the sent fields.
_OMITTED: Final[Any] = None


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


def _without_defaults(schema: dict[str, Any]) -> None:
    """Remove defaults from a schema: client generators take a field with a default for a required one."""
    for field in schema["properties"].values():
        field.pop("default", None)


class _Input(InputModel):
    model_config = ConfigDict(strict=True, json_schema_extra=_without_defaults)


class NewUser(_Input):
    """A user to create. Only an admin may set `role` and `active`."""

    email: EmailText
    name: NameText
    username: UsernameText | None = None
    bio: BioText | None = None
    password: PasswordText | None = Field(default=None, repr=False)
    role: RoleText = Role.MEMBER
    active: Active = True

    def to_use_case(self) -> users.NewUser:
        return users.NewUser(**vars(self))


class UserReplacement(_Input):
    """All writable fields of a user except the password. An omitted optional field is cleared.

    Only an admin may set `role` and `active`; they keep their values when omitted.
    """

    email: EmailText
    name: NameText
    username: UsernameText | None = None
    bio: BioText | None = None
    role: RoleText = _OMITTED
    active: Active = _OMITTED

    def to_use_case(self) -> users.UserChanges:
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return users.UserChanges(**{"username": None, "bio": None, **given})


class UserPatch(_Input):
    """A JSON Merge Patch (RFC 7396): an omitted field keeps its value, null clears an optional one."""

    email: EmailText = _OMITTED
    name: NameText = _OMITTED
    username: UsernameText | None = None
    bio: BioText | None = None
    role: RoleText = _OMITTED
    active: Active = _OMITTED

    def to_use_case(self) -> users.UserChanges:
        return users.UserChanges(**{name: getattr(self, name) for name in self.model_fields_set})


class PasswordChange(_Input):
    """A new password. Members must send the current one, too."""

    current_password: CurrentPasswordText | None = Field(
        default=None, repr=False, description="Required unless the caller is an admin."
    )
    new_password: PasswordText = Field(repr=False)


LinkTokenText: TypeAlias = Annotated[
    str,
    _text(
        "From the fragment of a mailed link. Any text that is not such a token returns 400.",
        writeOnly=True,
        examples=[examples.LINK_TOKEN],
    ),
]


class LinkConfirmation(_Input):
    """A mailed link that is confirmed."""

    token: LinkTokenText = Field(repr=False)


class PasswordLinkConfirmation(_Input):
    """A mailed link that is confirmed with a new password."""

    token: LinkTokenText = Field(repr=False)
    new_password: PasswordText = Field(repr=False)


class PasswordResetRequest(_Input):
    """The address of an account whose password is forgotten."""

    email: EmailText


class EmailChangeRequest(_Input):
    """Another address for the caller's own account."""

    new_email: EmailText
    current_password: CurrentPasswordText = Field(repr=False)


class NewPost(_Input):
    """A post to publish."""

    title: TitleText
    body: BodyText

    def to_use_case(self) -> posts.NewPost:
        return posts.NewPost(title=self.title, body=self.body)


class PostPatch(_Input):
    """A JSON Merge Patch (RFC 7396): an omitted field keeps its value."""

    title: TitleText = _OMITTED
    body: BodyText = _OMITTED

    def to_use_case(self) -> posts.PostChanges:
        return posts.PostChanges(**{name: getattr(self, name) for name in self.model_fields_set})


NewUserBody: TypeAlias = Annotated[NewUser, Body(openapi_examples=examples.NEW_USER)]
UserReplacementBody: TypeAlias = Annotated[UserReplacement, Body(openapi_examples=examples.USER_REPLACEMENT)]
UserPatchBody: TypeAlias = Annotated[UserPatch, Body(openapi_examples=examples.USER_PATCH)]
PasswordChangeBody: TypeAlias = Annotated[PasswordChange, Body(openapi_examples=examples.PASSWORD_CHANGE)]
LinkConfirmationBody: TypeAlias = Annotated[LinkConfirmation, Body(openapi_examples=examples.LINK_CONFIRMATION)]
PasswordLinkConfirmationBody: TypeAlias = Annotated[
    PasswordLinkConfirmation, Body(openapi_examples=examples.PASSWORD_LINK_CONFIRMATION)
]
PasswordResetRequestBody: TypeAlias = Annotated[
    PasswordResetRequest, Body(openapi_examples=examples.PASSWORD_RESET_REQUEST)
]
EmailChangeRequestBody: TypeAlias = Annotated[EmailChangeRequest, Body(openapi_examples=examples.EMAIL_CHANGE_REQUEST)]
NewPostBody: TypeAlias = Annotated[NewPost, Body(openapi_examples=examples.NEW_POST)]
PostPatchBody: TypeAlias = Annotated[PostPatch, Body(openapi_examples=examples.POST_PATCH)]
