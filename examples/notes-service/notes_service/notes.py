"""Personal notes of users, in a SQLite file."""

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from typing import Annotated, TypeAlias

from entrypoints.http.dependencies import OwnId, signed_in_principal
from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import BaseModel, Field


class NewNote(BaseModel):
    text: str = Field(min_length=1, max_length=1_000, examples=["Buy milk"])


class Note(NewNote):
    id: int


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    with closing(sqlite3.connect(app.state.notes_file)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, author TEXT, text TEXT)")
    yield


def database(request: Request) -> Iterator[sqlite3.Connection]:
    """Yield a connection to the notes; commit the endpoint's changes unless it fails."""
    # FastAPI may call each plain function in another thread.
    with closing(sqlite3.connect(request.app.state.notes_file, check_same_thread=False)) as connection, connection:
        yield connection


Database: TypeAlias = Annotated[sqlite3.Connection, Depends(database, scope="function")]

router = APIRouter(prefix="/notes", tags=["notes"], dependencies=[Depends(signed_in_principal)])


@router.post("", status_code=201)
def add_note(note: NewNote, author: OwnId, database: Database) -> Note:
    """Add a note."""
    added = database.execute("INSERT INTO notes (author, text) VALUES (?, ?)", (author, note.text))
    return Note(id=added.lastrowid or 0, text=note.text)


@router.get("")
def list_notes(author: OwnId, database: Database) -> Sequence[Note]:
    """List the caller's own notes."""
    rows = database.execute("SELECT id, text FROM notes WHERE author = ? ORDER BY id", (author,))
    return [Note(id=number, text=text) for number, text in rows]
