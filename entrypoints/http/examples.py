"""Examples for the OpenAPI document. They contain no null, which FastAPI would drop."""

from collections.abc import Mapping
from typing import Any, Final

USER_ID: Final = "01a1fc03-c17d-75ed-bf71-79e707db80f3"
POST_ID: Final = "01a1fc07-9b2e-7c41-8a0d-3f5e6b7c8d90"
SESSION_ID: Final = "01a1fc05-2f6a-7d18-b3c4-5a6b7c8d9e0f"
REQUEST_ID: Final = "b2c5f1a0-6a51-4b8e-9d52-1d5c0c9f8a3e"

LINK_TOKEN: Final = "AaH8A8F9de2_cXnnB9uA8y1kZXJpdmVkLXNlY3JldC1vZi0yNTYtYml0cy1oZXJl"  # noqa: S105

_TIME: Final = "2026-11-20T20:36:00.123Z"
_PASSWORD: Final = "correct horse battery"  # noqa: S105
_REFRESH_TOKEN: Final = f"{SESSION_ID}.c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"

_CONTACT: Final = {"email": "ann@example.com", "name": "Ann"}
_PROFILE: Final = {**_CONTACT, "username": "ann", "bio": "Likes ports."}
_TEXT: Final = {"title": "On ports", "body": "A port is\na promise."}

USER: Final = {
    "id": USER_ID,
    **_PROFILE,
    "role": "member",
    "active": True,
    "email_verified": True,
    "created_at": _TIME,
    "updated_at": _TIME,
}
POST: Final = {"id": POST_ID, "author_id": USER_ID, **_TEXT, "created_at": _TIME, "updated_at": _TIME}
SESSION: Final = {
    "id": SESSION_ID,
    "user_agent": "Mozilla/5.0",
    "current": True,
    "created_at": _TIME,
    "last_used_at": _TIME,
    "expires_at": "2026-11-27T20:36:00.123Z",
}
TOKENS: Final = {
    "access_token": "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJ1c2VycG9ydCJ9.c2lnbmF0dXJl",
    "token_type": "Bearer",
    "expires_in": 900,
    "refresh_token": _REFRESH_TOKEN,
}
KEYS: Final = {
    "keys": [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            "alg": "EdDSA",
            "use": "sig",
        }
    ]
}


def named(**examples: tuple[str, object]) -> dict[str, Any]:
    """Return OpenAPI examples of a body: each has a name, a summary and a value."""
    return {name: {"summary": summary, "value": value} for name, (summary, value) in examples.items()}


NEW_USER: Final = named(
    minimal=("Email and name are enough", _CONTACT),
    with_password=("A user who can sign in", {**_PROFILE, "password": _PASSWORD}),
    admin=("An admin, created by an admin", {**_CONTACT, "password": _PASSWORD, "role": "admin"}),
)
USER_REPLACEMENT: Final = named(
    complete=("All fields", _PROFILE), minimal=("Clears the username and the bio", _CONTACT)
)
USER_PATCH: Final = named(
    rename=("Changes the name alone", {"name": "Ann Example"}), disable=("By an admin", {"active": False})
)
PASSWORD_CHANGE: Final = named(
    own=("One's own password", {"current_password": _PASSWORD, "new_password": "a long and quiet password"}),
    by_admin=("By an admin", {"new_password": "a long and quiet password"}),
)
LINK_CONFIRMATION: Final = named(link=("The token of a link", {"token": LINK_TOKEN}))
PASSWORD_LINK_CONFIRMATION: Final = named(
    link=("The token of a link", {"token": LINK_TOKEN, "new_password": "a long and quiet password"})
)
PASSWORD_RESET_REQUEST: Final = named(address=("The account's address", {"email": "ann@example.com"}))
EMAIL_CHANGE_REQUEST: Final = named(
    own=("Another address", {"new_email": "ann@example.org", "current_password": _PASSWORD})
)
NEW_POST: Final = named(post=("A post", _TEXT))
POST_PATCH: Final = named(retitle=("Changes the title alone", {"title": "On adapters"}))
TOKEN_REQUEST: Final = named(
    password=("Sign in", {"grant_type": "password", "username": "ann", "password": _PASSWORD}),
    refresh_token=("Refresh", {"grant_type": "refresh_token", "refresh_token": _REFRESH_TOKEN}),
)
REVOCATION_REQUEST: Final = named(refresh_token=("Sign out", {"token": _REFRESH_TOKEN}))

INVALID_FIELD: Final[Mapping[str, str]] = {
    "pointer": "/email",
    "code": "invalid_email",
    "detail": "must be an email address: it has no @",
}
INVALID_PARAMETER: Final[Mapping[str, str]] = {
    "pointer": "limit",
    "code": "out_of_range",
    "detail": "is greater than allowed",
}
