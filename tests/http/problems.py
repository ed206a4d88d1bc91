"""The format of every error."""

import re
from typing import Final

import httpx

_CODE: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def check_problem(response: httpx.Response) -> None:
    """Fail unless an error is a complete problem document (RFC 9457 and the HTTP contract)."""
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    members = {"type", "title", "status", "detail", "instance", "code", "request_id"}
    assert set(problem) - {"errors"} == members
    assert problem["status"] == response.status_code
    assert problem["request_id"] == response.headers["x-request-id"]
    assert _CODE.fullmatch(problem["code"])
    for member in members - {"status"}:
        assert isinstance(problem[member], str)
        assert problem[member]
    for error in problem.get("errors", []):
        assert set(error) == {"pointer", "code", "detail"}
        assert _CODE.fullmatch(error["code"])
        assert error["detail"]


def is_oauth_error(response: httpx.Response) -> bool:
    """Return whether OAuth defines the format of an error."""
    return response.status_code == 400 and response.request.url.path in ("/auth/token", "/auth/revoke")


def check_oauth_error(response: httpx.Response) -> None:
    """Fail unless an error has the format of RFC 6749, section 5.2."""
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    error = response.json()
    assert set(error) == {"error", "error_description"}
    assert error["error"] in {"invalid_request", "invalid_grant", "unsupported_grant_type"}
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", error["error_description"])


def code_of(response: httpx.Response) -> str:
    """Return the code of an error."""
    code: str = response.json()["code"]
    return code


def pointers_of(response: httpx.Response) -> set[str]:
    """Return the fields or parameters that a validation error names."""
    assert response.status_code == 422
    return {error["pointer"] for error in response.json()["errors"]}
