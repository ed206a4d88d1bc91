"""Documents to entities and back. What a record does not have is left out, as a sparse index wants it of a user."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from domain.credential import Credential
from domain.post import Post
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.user import Role, User
from domain.values import Bio, Body, Email, Name, PostId, SessionId, Title, UserId, Username, fold

Document: TypeAlias = dict[str, Any]


def user_from_document(document: Mapping[str, Any]) -> User:
    return User(
        id=UserId(document["_id"]),
        email=Email(document["email"], document["email_key"]),
        name=Name(document["name"]),
        username=Username(document["username"], document["username_key"]) if "username" in document else None,
        bio=Bio(document["bio"]) if "bio" in document else None,
        role=Role(document["role"]),
        active=document["active"],
        version=int(document["version"]),  # instead of the driver's own Int64
        created_at=document["created_at"],
        updated_at=document["updated_at"],
    )


def user_document(user: User) -> Document:
    document: Document = {
        "_id": str(user.id),
        "email": user.email.address,
        "email_key": user.email.canonical,
        "name": str(user.name),
        "name_key": fold(user.name),
        "role": user.role.value,
        "active": user.active,
        "version": user.version,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }
    if user.username is not None:
        document |= {"username": user.username.text, "username_key": user.username.canonical}
    if user.bio is not None:
        document["bio"] = str(user.bio)
    return document


def post_from_document(document: Mapping[str, Any]) -> Post:
    return Post(
        id=PostId(document["_id"]),
        author_id=UserId(document["author_id"]),
        title=Title(document["title"]),
        body=Body(document["body"]),
        version=int(document["version"]),  # instead of the driver's own Int64
        created_at=document["created_at"],
        updated_at=document["updated_at"],
    )


def post_document(post: Post) -> Document:
    return {
        "_id": str(post.id),
        "author_id": str(post.author_id),
        "title": str(post.title),
        "body": str(post.body),
        "version": post.version,
        "created_at": post.created_at,
        "updated_at": post.updated_at,
    }


def credential_from_document(document: Mapping[str, Any]) -> Credential:
    return Credential(UserId(document["_id"]), document["password_hash"])


def credential_document(credential: Credential) -> Document:
    return {"_id": str(credential.user_id), "password_hash": credential.password_hash}


def session_from_document(document: Mapping[str, Any]) -> Session:
    return Session(
        id=SessionId(document["_id"]),
        user_id=UserId(document["user_id"]),
        user_agent=document.get("user_agent"),
        place=document.get("place"),
        token_digest=document["token_digest"],
        salt=document["salt"],
        refreshed_at=tuple(document["refreshed_at"]),
        version=int(document["version"]),  # instead of the driver's own Int64
        created_at=document["created_at"],
        last_used_at=document["last_used_at"],
        expires_at=document["expires_at"],
    )


def session_document(session: Session) -> Document:
    document: Document = {
        "_id": str(session.id),
        "user_id": str(session.user_id),
        "token_digest": session.token_digest,
        "salt": session.salt,
        "refreshed_at": list(session.refreshed_at),
        "version": session.version,
        "created_at": session.created_at,
        "last_used_at": session.last_used_at,
        "expires_at": session.expires_at,
    }
    if session.user_agent is not None:
        document["user_agent"] = session.user_agent
    if session.place is not None:
        document["place"] = session.place
    return document


def failures_from_document(document: Mapping[str, Any]) -> SignInFailures:
    return SignInFailures(
        key=document["_id"],
        moments=tuple(document["moments"]),
        version=int(document["version"]),  # instead of the driver's own Int64
        expires_at=document["expires_at"],
    )


def failures_document(failures: SignInFailures) -> Document:
    return {
        "_id": failures.key,
        "moments": list(failures.moments),
        "version": failures.version,
        "expires_at": failures.expires_at,
    }
