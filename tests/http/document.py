"""Check responses against the OpenAPI document that the application publishes."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx
import jsonschema_rs

OF_EVERY_ANSWER: Final = {
    "content-type",
    "content-length",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "cross-origin-resource-policy",
    "content-security-policy",
}


class Document:
    def __init__(self, openapi: dict[str, Any]) -> None:
        self.openapi = openapi
        self._paths = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path) for path in sorted(openapi["paths"])]
        self._validators: dict[str, jsonschema_rs.Validator] = {}

    def check(self, request: httpx.Request, response: httpx.Response) -> None:
        """Fail unless the document declares this status, these headers, this media type and this body."""
        path = self._path(request.url.path)
        method = "get" if request.method == "HEAD" else request.method.lower()
        if path is None or method not in self.openapi["paths"][path]:
            return
        where = f"{request.method} {path} {response.status_code}"
        pointer = pointer_to("paths", path, method, "responses", str(response.status_code))
        answers = self.openapi["paths"][path][method]["responses"]
        assert str(response.status_code) in answers, f"{where} is not documented"
        answer, pointer = self._resolve(answers[str(response.status_code)], pointer)
        self._check_headers(where, answer.get("headers", {}), response.headers)
        if request.method != "HEAD":
            self._check_body(where, answer.get("content", {}), f"{pointer}/content", response)

    def _check_headers(self, where: str, documented: Mapping[str, Any], met: httpx.Headers) -> None:
        known = {name.lower(): self._resolve(header, "")[0] for name, header in documented.items()}
        unknown = set(met) - set(known) - OF_EVERY_ANSWER
        assert not unknown, f"{where} has headers that are not documented: {unknown}"
        for name, header in known.items():
            assert name in met or not header.get("required"), f"{where} lacks the header {name}"
            if name in met:
                text = met[name]
                instance = int(text) if header["schema"].get("type") == "integer" else text
                assert jsonschema_rs.is_valid(header["schema"], instance), f"{where}: {name} breaks its schema"

    def _check_body(self, where: str, documented: Mapping[str, Any], pointer: str, response: httpx.Response) -> None:
        if not documented:
            assert not response.content, f"{where} has a body that is not documented"
            return
        media_type = response.headers["content-type"].partition(";")[0]
        assert media_type in documented, f"{where}: {media_type} is not documented"
        if "json" in media_type and "schema" in documented[media_type]:
            self.validator(f"{pointer}{pointer_to(media_type, 'schema')}").validate(response.json())

    def validator(self, pointer: str) -> jsonschema_rs.Validator:
        """Return a validator for the schema at a location in the document.

        Those that refer to one schema share its validator: each is compiled from the whole document.
        """
        if (schema := self._at(pointer)).keys() == {"$ref"}:
            pointer = schema["$ref"].removeprefix("#")
        if pointer not in self._validators:
            schema = {**self.openapi, "$ref": f"#{quote(pointer)}"}
            self._validators[pointer] = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        return self._validators[pointer]

    def _path(self, path: str) -> str | None:
        return next((template for form, template in self._paths if form.fullmatch(path.removesuffix("/"))), None)

    def _resolve(self, node: Any, pointer: str) -> tuple[Any, str]:
        while "$ref" in node:
            pointer = node["$ref"].removeprefix("#")
            node = self._at(pointer)
        return node, pointer

    def _at(self, pointer: str) -> Any:
        node: Any = self.openapi
        for step in pointer.strip("/").split("/"):
            node = node[step.replace("~1", "/").replace("~0", "~")]
        return node


def pointer_to(*steps: str) -> str:
    """Return the JSON Pointer to a location (RFC 6901)."""
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)
