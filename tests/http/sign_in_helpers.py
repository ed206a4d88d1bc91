"""Users who are signed in."""

from dataclasses import dataclass
from typing import Any, Final

import httpx

from adapters.security.signing_keys import SigningKeys
from application.users.service import NewUser
from domain.user import Role
from tests.http.records import Record, new_user
from tests.http.service import Service

PASSWORD: Final = "correct horse battery"
SIGNING_KEY: Final = SigningKeys.new().to_pem()


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """A user with their tokens."""

    user: Record
    tokens: Record

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.tokens["access_token"])


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def sign_in(client: httpx.AsyncClient, name: str, password: str = PASSWORD, **options: Any) -> httpx.Response:
    form = {"grant_type": "password", "username": name, "password": password}
    return await client.post("/auth/token", data=form, **options)


async def refresh(client: httpx.AsyncClient, refresh_token: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return await client.post("/auth/token", data=form)


async def tokens_of(client: httpx.AsyncClient, name: str, password: str = PASSWORD) -> Record:
    response = await sign_in(client, name, password)
    assert response.status_code == 200, response.text
    tokens: Record = response.json()
    return tokens


async def a_member(client: httpx.AsyncClient, **fields: Any) -> SignedInUser:
    """Sign up and sign in a user."""
    response = await client.post("/users", json=new_user(password=PASSWORD, **fields))
    assert response.status_code == 201, response.text
    return SignedInUser(response.json(), await tokens_of(client, response.json()["email"]))


async def an_admin(service: Service, client: httpx.AsyncClient) -> SignedInUser:
    """Create an admin as `userport users add --admin` does, and sign in."""
    new = NewUser(**new_user(password=PASSWORD, role=Role.ADMIN))
    made = await service.container.users().register(new)
    tokens = await tokens_of(client, new.email)
    return SignedInUser((await client.get(f"/users/{made.id}", headers=bearer(tokens["access_token"]))).json(), tokens)
