"""Test data for users and posts."""

from itertools import count
from typing import Any, Final, TypeAlias

import httpx

Record: TypeAlias = dict[str, Any]

UNKNOWN_ID: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
"""An id that no record has."""

_numbers = count()


def new_user(**fields: Any) -> Record:
    """Return the fields of a user who is not registered yet."""
    return {"email": f"user{next(_numbers)}@example.org", "name": "Ann Example", **fields}


async def register(client: httpx.AsyncClient, **fields: Any) -> Record:
    response = await client.post("/users", json=new_user(**fields))
    assert response.status_code == 201, response.text
    user: Record = response.json()
    return user


async def publish(client: httpx.AsyncClient, author: Record, **fields: Any) -> Record:
    response = await client.post(f"/users/{author['id']}/posts", json={"title": "News", "body": "Text", **fields})
    assert response.status_code == 201, response.text
    post: Record = response.json()
    return post


def path_of(record: Record) -> str:
    """Return the path of a record."""
    return f"/posts/{record['id']}" if "author_id" in record else f"/users/{record['id']}"
