"""Conditional requests (RFC 9110, section 13), by entity tags made from a record's version and id."""

import re
from collections.abc import Collection
from hashlib import blake2b
from typing import Annotated, Final, Protocol

from fastapi import Depends, Header, Request

from application.concurrency import Expected

_ENTITY_TAG: Final = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*')
_VERSION: Final = re.compile(r"[1-9][0-9]{0,18}")
_ANY: Final = "*"


class Versioned(Protocol):
    """A record with an entity tag."""

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...


def etag(record: Versioned) -> str:
    """Return the strong entity tag of a record.

    It contains the id because one URL may name several records: `/users/me` is a different user for each caller.
    """
    return f'"{record.version}{_suffix(record.id)}"'


async def if_match(
    request: Request,
    first: Annotated[
        str | None,
        Header(alias="If-Match", description="Change the record only if its `ETag` is one of these; `*` matches any."),
    ] = None,
) -> Collection[str] | None:
    """Return the strong tags of `If-Match`, unquoted; None if the header matches any record (section 13.1.1)."""
    if first is None or (given := _all_lines(request, "if-match")).strip() == _ANY:
        return None
    tags = [match for part in given.split(",") if (match := _ENTITY_TAG.fullmatch(part))]
    return {tag[2] for tag in tags if not tag[1]}


def expected_versions(record_id: str, tags: Collection[str] | None) -> Expected:
    """Return the versions that the tags of `If-Match` stand for. Tags of other records are ignored."""
    if tags is None:
        return None
    suffix = _suffix(record_id)
    versions = (tag.removesuffix(suffix) for tag in tags if tag.endswith(suffix))
    return {int(version) for version in versions if _VERSION.fullmatch(version)}


async def known_tags(
    request: Request,
    first: Annotated[
        str | None,
        Header(alias="If-None-Match", description="Return 304, without a body, if the `ETag` is one of these."),
    ] = None,
) -> Collection[str]:
    """Return the tags of `If-None-Match`, quoted, for the weak comparison (section 13.1.2). `*` is kept as it is."""
    if first is None:
        return ()
    given = _all_lines(request, "if-none-match")
    if given.strip() == _ANY:
        return {_ANY}
    tags = (_ENTITY_TAG.fullmatch(part) for part in given.split(","))
    return {f'"{tag[2]}"' for tag in tags if tag}


def is_known(record: Versioned, known: Collection[str]) -> bool:
    """Return whether the client already has this state of the record."""
    return bool(known) and (etag(record) in known or _ANY in known)


IfMatch = Annotated[Collection[str] | None, Depends(if_match)]
KnownTags = Annotated[Collection[str], Depends(known_tags)]


def _suffix(record_id: str) -> str:
    return f"-{blake2b(record_id.encode(), digest_size=8).hexdigest()}"


def _all_lines(request: Request, name: str) -> str:
    """Return all values of a header that may be sent in several lines; FastAPI provides only the first."""
    return ", ".join(request.headers.getlist(name))
