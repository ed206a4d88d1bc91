"""FastAPI as in tutorials: blocking functions, run in threads, with an ORM session per request."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Query
from sqlalchemy import create_engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from benchmarks.rivals import model, schemas
from benchmarks.rivals.addresses import sync_url, url_in_environment
from benchmarks.rivals.durable_sqlite import make_durable

_THREADS: Final = 40  # as many as Starlette's threads, so that none waits for a connection

engine: Final = create_engine(sync_url(url_in_environment()), pool_size=_THREADS, max_overflow=0)
make_durable(engine)
app: Final = FastAPI()


def _open_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


OpenSession = Annotated[Session, Depends(_open_session)]


@app.get("/users", response_model=list[schemas.User])
def list_users(
    session: OpenSession,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Sequence[model.User]:
    return session.scalars(select(model.User).order_by(model.User.id).limit(limit).offset(offset)).all()


@app.get("/users/{user_id}", response_model=schemas.User)
def get_user(user_id: UUID, session: OpenSession) -> model.User:
    return _find(user_id, session)


@app.post("/users", response_model=schemas.User, status_code=201)
def create_user(body: schemas.NewUser, session: OpenSession) -> model.User:
    user = model.User(**body.model_dump())
    session.add(user)
    _commit(session)
    session.refresh(user)
    return user


@app.patch("/users/{user_id}", response_model=schemas.User)
def update_user(user_id: UUID, body: schemas.UserPatch, session: OpenSession) -> model.User:
    user = _find(user_id, session)
    for field, value in body.model_dump(exclude_unset=True).items():
        setattr(user, field, value)
    _commit(session)
    session.refresh(user)
    return user


def _find(user_id: UUID, session: Session) -> model.User:
    user = session.get(model.User, user_id)
    if user is None:
        raise HTTPException(404)
    return user


def _commit(session: Session) -> None:
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        raise HTTPException(409) from None
