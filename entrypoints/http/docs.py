"""Swagger UI, with no file from another host."""

from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

_ASSETS: Final = "/docs/assets"
_SCRIPT: Final = "swagger-ui-bundle.js"
_STYLE: Final = "swagger-ui.css"
_MEDIA_TYPES: Final = {_SCRIPT: "text/javascript", _STYLE: "text/css"}

router: Final = APIRouter()


@router.get("/docs", include_in_schema=False)
async def show_docs() -> HTMLResponse:
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="userport",
        swagger_js_url=f"{_ASSETS}/{_SCRIPT}",
        swagger_css_url=f"{_ASSETS}/{_STYLE}",
        swagger_favicon_url="data:,",
    )


@router.get(f"{_ASSETS}/{{name}}", include_in_schema=False)
async def show_asset(name: str) -> Response:
    """Give one of the files that the page needs: the fastapi-offline package carries them.

    Starlette's own answer with a file would refuse a bad `Range` in plain text.
    """
    if name not in _MEDIA_TYPES:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(_content(name), media_type=_MEDIA_TYPES[name])


@cache
def _content(name: str) -> bytes:
    return (files("fastapi_offline") / "static" / name).read_bytes()


def add_docs(app: FastAPI) -> None:
    """Add the page and its files."""
    app.include_router(router)
