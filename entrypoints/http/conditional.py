"""Conditional requests (RFC 9110, section 13), by entity tags made from a record's version."""

import re
from typing import Annotated, Final

from fastapi import Depends, Header, Request

from application.concurrency import Expected

_ENTITY_TAG: Final = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*')
_VERSION: Final = re.compile(r"[1-9][0-9]{0,18}")


def etag(version: int) -> str:
    """Make the strong entity tag of a record at this version."""
    return f'"{version}"'


def expected_versions(
    request: Request,
    _: Annotated[
        str | None,
        Header(alias="If-Match", description="Change the record only if its `ETag` is one of these; `*` is any."),
    ] = None,
) -> Expected:
    """Read `If-Match`. What is no list of our strong tags matches nothing (section 13.1.1)."""
    given = _header(request, "if-match")
    if given is None or given.strip() == "*":
        return None
    tags = [match for part in given.split(",") if (match := _ENTITY_TAG.fullmatch(part))]
    return {int(tag[2]) for tag in tags if not tag[1] and _VERSION.fullmatch(tag[2])}


def known_tags(
    request: Request,
    _: Annotated[
        str | None,
        Header(alias="If-None-Match", description="Answer 304, without a body, if the `ETag` is one of these."),
    ] = None,
) -> frozenset[str]:
    """Read `If-None-Match`, by the weak comparison (section 13.1.2); `*` stands for itself."""
    given = _header(request, "if-none-match")
    if given is None:
        return frozenset()
    if given.strip() == "*":
        return frozenset("*")
    tags = (_ENTITY_TAG.fullmatch(part) for part in given.split(","))
    return frozenset(f'"{tag[2]}"' for tag in tags if tag)


def is_known(version: int, known: frozenset[str]) -> bool:
    """Tell whether the client has this version already."""
    return bool(known) and (etag(version) in known or "*" in known)


ExpectedVersions = Annotated[Expected, Depends(expected_versions)]
KnownTags = Annotated[frozenset[str], Depends(known_tags)]


def _header(request: Request, name: str) -> str | None:
    # The parameters above are declared for the document alone: FastAPI would read one line of several.
    lines = request.headers.getlist(name)
    return ", ".join(lines) if lines else None
