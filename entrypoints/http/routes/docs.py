"""Swagger UI, served without files from other hosts."""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from typing import Annotated, Final

from fastapi import Path, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from entrypoints.http.routing import create_router

_ASSETS: Final = "/docs/assets"
_SCRIPT: Final = "swagger-ui-bundle.js"
_STYLE: Final = "swagger-ui.css"
_MEDIA_TYPES: Final = {_SCRIPT: "text/javascript", _STYLE: "text/css"}

router: Final = create_router()


@router.get("/docs", include_in_schema=False)
async def show_docs(request: Request) -> HTMLResponse:
    page = get_swagger_ui_html(
        openapi_url=request.app.openapi_url,
        title=request.app.title,
        swagger_js_url=f"{_ASSETS}/{_SCRIPT}",
        swagger_css_url=f"{_ASSETS}/{_STYLE}",
        swagger_favicon_url="data:,",
    )
    page.headers["Content-Security-Policy"] = _policy(bytes(page.body))
    return page


@router.get(f"{_ASSETS}/{{name}}", include_in_schema=False)
async def show_asset(name: Annotated[str, Path(alias="name")]) -> Response:
    """Return an asset of the page, from the fastapi-offline package.

    Starlette's `FileResponse` would reject a bad `Range` header in plain text.
    """
    if name not in _MEDIA_TYPES:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(_content(name), media_type=_MEDIA_TYPES[name])


@cache
def _policy(page: bytes) -> str:
    """Return a policy that allows the page its own assets and API calls, and its inline script by hash (CSP 3)."""
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    hashes = " ".join(f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in scripts)
    return (
        f"default-src 'none'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


@cache
def _content(name: str) -> bytes:
    return (files("fastapi_offline") / "static" / name).read_bytes()
