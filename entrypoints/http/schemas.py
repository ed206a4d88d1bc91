"""The shapes of the bodies that come in.

Only the shape is checked here: which fields there are, and of which JSON type. The rules for the values belong to the
domain, which normalises before it measures; here they are only described.
"""

from typing import Annotated, Any, Final, TypeAlias

from pydantic import ConfigDict, Field

from application import posts, users
from domain.user import Role
from domain.values import Bio, Body, Email, Name, Password, Title, Username
from entrypoints.http.inputs import InputModel


def _text(description: str, **schema: Any) -> Any:
    return Field(description=description, json_schema_extra=schema)


# One line of visible text: no control characters, and something else than white space.
_LINE = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"

EmailText: TypeAlias = Annotated[
    str,
    _text(
        "Trimmed and in NFC; its domain is kept as lower-case A-labels. Unique whatever its case.",
        format="idn-email",  # RFC 6531; `email` would allow ASCII alone
        maxLength=Email.LONGEST,
        examples=["ann@example.com"],
    ),
]
NameText: TypeAlias = Annotated[
    str,
    _text("In any script; trimmed and in NFC.", minLength=1, maxLength=Name.LONGEST, pattern=_LINE, examples=["Ann"]),
]
UsernameText: TypeAlias = Annotated[
    str,
    _text("Unique whatever its case.", pattern=f"^{Username.PATTERN}$", minLength=3, maxLength=32, examples=["ann"]),
]
BioText: TypeAlias = Annotated[
    str, _text("May have line breaks and tabs.", maxLength=Bio.LONGEST, examples=["Likes ports."])
]
PasswordText: TypeAlias = Annotated[
    str,
    _text(
        "Never returned. Not one of the most common passwords, nor the user's own email, name or username.",
        format="password",
        writeOnly=True,
        minLength=Password.SHORTEST,
        maxLength=Password.LONGEST,
        examples=["correct horse battery"],
    ),
]
TitleText: TypeAlias = Annotated[
    str,
    _text("Trimmed and in NFC.", minLength=1, maxLength=Title.LONGEST, pattern=_LINE, examples=["On ports"]),
]
BodyText: TypeAlias = Annotated[
    str,
    _text(
        "Trimmed and in NFC; may have line breaks and tabs.",
        minLength=1,
        maxLength=Body.LONGEST,
        examples=["A port is\na promise."],
    ),
]
RoleText: TypeAlias = Annotated[Role, Field(strict=False, description="What the user may do.")]
Active: TypeAlias = Annotated[bool, Field(description="Whether the user may sign in.")]


ADMIN_FIELDS: Final = frozenset({"role", "active"})
"""What only an admin may set."""

# Never looked at: `model_fields_set` tells what was given.
_LEFT_OUT: Final[Any] = None


def _without_defaults(schema: dict[str, Any]) -> None:
    """A field that is left out is kept; the default that stands in for it here is no value to send."""
    for field in schema["properties"].values():
        field.pop("default", None)


class _Input(InputModel):
    model_config = ConfigDict(strict=True)


class NewUser(_Input):
    """A user to be registered."""

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
    """All that a client may write of a user but the password; an optional field that is left out is cleared.

    `role` and `active` stay as they are when they are left out.
    """

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    email: EmailText
    name: NameText
    username: UsernameText | None = None
    bio: BioText | None = None
    role: RoleText = _LEFT_OUT
    active: Active = _LEFT_OUT

    def to_use_case(self) -> users.UserChanges:
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return users.UserChanges(**{"username": None, "bio": None, **given})


class UserPatch(_Input):
    """A JSON Merge Patch (RFC 7396): a field that is left out stays as it is, null clears an optional one."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    email: EmailText = _LEFT_OUT
    name: NameText = _LEFT_OUT
    username: UsernameText | None = None
    bio: BioText | None = None
    role: RoleText = _LEFT_OUT
    active: Active = _LEFT_OUT

    def to_use_case(self) -> users.UserChanges:
        return users.UserChanges(**{name: getattr(self, name) for name in self.model_fields_set})


class PasswordChange(_Input):
    """A new password; whoever is no admin has to know the current one."""

    current_password: Annotated[
        str | None,
        _text("May be left out by an admin.", format="password", writeOnly=True, examples=["correct horse battery"]),
    ] = Field(default=None, repr=False)
    new_password: PasswordText = Field(repr=False)


class NewPost(_Input):
    """A post to be published."""

    title: TitleText
    body: BodyText

    def to_use_case(self) -> posts.NewPost:
        return posts.NewPost(title=self.title, body=self.body)


class PostPatch(_Input):
    """A JSON Merge Patch (RFC 7396): a field that is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    title: TitleText = _LEFT_OUT
    body: BodyText = _LEFT_OUT

    def to_use_case(self) -> posts.PostChanges:
        return posts.PostChanges(**{name: getattr(self, name) for name in self.model_fields_set})
