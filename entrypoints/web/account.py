"""The pages behind mailed links. The token is in the fragment, which no server sees; a script sends it on a click."""

import tomllib
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path as FilePath
from typing import Annotated, Final, NamedTuple
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from application.languages import Language, negotiate_language
from entrypoints.http.dependencies import container_of

_FILES: Final = FilePath(__file__).parent


class _Page(NamedTuple):
    call: str
    """The path that the token is sent to."""

    needs_password: bool = False


PAGES: Final[Mapping[str, _Page]] = {
    "verify-email": _Page("/auth/email-verification/confirm"),
    "reset-password": _Page("/auth/password-reset/confirm", needs_password=True),
    "confirm-email-change": _Page("/auth/email-change/confirm"),
    "undo-email-change": _Page("/auth/email-change/undo"),
    "accept-invitation": _Page("/auth/invitation/confirm", needs_password=True),
}

_MEDIA_TYPES: Final = {"account.css": "text/css", "account.js": "text/javascript"}

_PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Language",
}

router: Final = APIRouter(prefix="/account", include_in_schema=False)


@router.get("/{name}")
async def show_page(request: Request, name: Annotated[str, Path()]) -> HTMLResponse:
    if name not in PAGES:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    settings = container_of(request).settings()
    language = negotiate_language(request.headers.get("accept-language"))
    prefix = urlsplit(settings.links_begin_with).path
    html = _render(name, language, settings.service_name, prefix)
    return HTMLResponse(html, headers={**_PAGE_HEADERS, "Content-Language": language})


@router.get("/static/{name}")
async def show_file(name: Annotated[str, Path()]) -> Response:
    if name not in _MEDIA_TYPES:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(_read_file(name), headers={"Cache-Control": "no-cache"}, media_type=_MEDIA_TYPES[name])


@cache
def _render(name: str, language: Language, service: str, prefix: str) -> str:
    texts = read_texts(language)
    common, page = texts["common"], texts[name]
    results = [
        {"id": "done", "title": page["success_title"], "text": page["success"]},
        {"id": "invalid", "title": common["invalid_title"], "text": page["invalid"]},
        {"id": "email-taken", "title": common["taken_title"], "text": common["email_taken"]},
        {"id": "username-taken", "title": common["taken_title"], "text": common["username_taken"]},
        {"id": "incomplete", "title": common["incomplete_title"], "text": common["incomplete"]},
    ]
    return (
        _environment()
        .get_template("account.html")
        .render(
            language=language,
            service=service,
            prefix=prefix,
            call=PAGES[name].call,
            needs_password=PAGES[name].needs_password,
            page=page,
            common=common,
            passwords=texts["passwords"],
            results=results,
        )
    )


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(_FILES / "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)


def read_texts(language: Language) -> Mapping[str, Mapping[str, str]]:
    with (_FILES / "texts" / f"{language}.toml").open("rb") as file:
        return tomllib.load(file)


@cache
def _read_file(name: str) -> bytes:
    return (_FILES / "static" / name).read_bytes()
