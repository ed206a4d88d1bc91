from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from entrypoints.http.problems import problem_response


class CrossOriginMiddleware(CORSMiddleware):
    """Allows web pages of the configured origins to call the API (Fetch standard, section 3.3).

    Rejected preflight requests get a problem document instead of plain text.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=("Authorization", "If-Match", "If-None-Match", "X-Request-Id"),
            expose_headers=(
                "ETag",
                "Link",
                "Location",
                "Retry-After",
                "WWW-Authenticate",
                "X-Request-Id",
                "X-Total-Count",
            ),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except _PreflightRefused:
            detail = "Pages of this origin may not send this request; see USERPORT_CORS_ORIGINS."
            response = problem_response(scope, HTTPStatus.BAD_REQUEST, "cross_origin_refused", detail)
            await response(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code != HTTPStatus.OK:
            raise _PreflightRefused
        headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)


class _PreflightRefused(Exception):
    """A preflight request asks for a method or header that is not allowed."""
