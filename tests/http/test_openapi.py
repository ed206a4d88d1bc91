"""The OpenAPI document is exact."""

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import httpx
import jsonschema_rs
import pytest

from tests.http.document import Document, pointer_to
from tests.http.service import Service

Operation: TypeAlias = dict[str, Any]

METHODS: Final = {"get", "post", "put", "patch", "delete", "head", "options", "trace"}
OPERATIONS: Final = {
    ("/users", "post"): "create_user",
    ("/users", "get"): "list_users",
    ("/users/{id}", "get"): "get_user",
    ("/users/{id}", "put"): "replace_user",
    ("/users/{id}", "patch"): "update_user",
    ("/users/{id}", "delete"): "delete_user",
    ("/users/{id}/password", "put"): "change_password",
    ("/users/{id}/posts", "post"): "create_post",
    ("/users/{id}/posts", "get"): "list_posts",
    ("/posts/{id}", "get"): "get_post",
    ("/posts/{id}", "patch"): "update_post",
    ("/posts/{id}", "delete"): "delete_post",
}


@pytest.fixture
async def document(memory_client: httpx.AsyncClient) -> Document:
    response = await memory_client.get("/openapi.json")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    return Document(response.json())


def operations(document: Document) -> Iterator[tuple[str, str, Operation]]:
    for path, item in document.openapi["paths"].items():
        for method in METHODS & set(item):
            yield path, method, item[method]


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from nodes(child)
    elif isinstance(node, list):
        for child in node:
            yield from nodes(child)


async def test_the_document_is_what_the_application_says_of_itself(memory_service: Service, document: Document) -> None:
    assert document.openapi == memory_service.app.openapi()


async def test_the_document_is_openapi_3_1(document: Document) -> None:
    openapi = document.openapi
    assert re.fullmatch(r"3\.1\.\d+", openapi["openapi"])
    assert openapi["info"]["title"]
    assert openapi["info"]["version"]
    assert openapi["info"]["description"]
    for path, _, operation in operations(document):
        in_path = [parameter for parameter in operation.get("parameters", ()) if parameter["in"] == "path"]
        assert {parameter["name"] for parameter in in_path} == set(re.findall(r"\{(\w+)\}", path))
        assert all(parameter["required"] for parameter in in_path)
        assert operation["responses"]
        assert all(answer["description"] for answer in operation["responses"].values())


async def test_every_schema_is_valid_and_every_reference_leads_somewhere(document: Document) -> None:
    for node in nodes(document.openapi):
        if "$ref" in node:
            document.validator(node["$ref"].removeprefix("#"))
        if "schema" in node and isinstance(node["schema"], dict):
            jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **node["schema"]})
    for schema in document.openapi["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


async def test_operations_have_readable_names_of_their_own(document: Document) -> None:
    names = {(path, method): operation["operationId"] for path, method, operation in operations(document)}
    assert len(set(names.values())) == len(names)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", name) for name in names.values())
    assert OPERATIONS.items() <= names.items()


async def test_operations_have_a_tag_a_summary_and_a_description(document: Document) -> None:
    for _, _, operation in operations(document):
        assert len(operation["tags"]) == 1
        assert operation["summary"]
        assert operation["description"]


async def test_every_body_that_goes_in_has_an_example_and_it_is_valid(document: Document) -> None:
    for path, method, operation in operations(document):
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            place = pointer_to("paths", path, method, "requestBody", "content", media_type, "schema")
            examples = _examples(document, content)
            assert examples, f"{method} {path} has no example"
            for example in examples:
                document.validator(place).validate(example)


@pytest.fixture(params=["open", "token"])
def document_of_a_mode(
    request: pytest.FixtureRequest, memory_service: Service, memory_token_service: Service
) -> Document:
    return memory_service.document if request.param == "open" else memory_token_service.document


async def test_every_body_has_named_examples_and_they_are_valid(document_of_a_mode: Document) -> None:
    met = 0
    for path, method, operation in operations(document_of_a_mode):
        bodies: dict[tuple[str, ...], Operation] = {("requestBody",): operation.get("requestBody", {})}
        bodies |= {("responses", status): response for status, response in operation["responses"].items()}
        for place, body in bodies.items():
            for media_type, content in body.get("content", {}).items():
                pointer = pointer_to("paths", path, method, *place, "content", media_type, "schema")
                assert content["examples"], pointer
                for name, example in content["examples"].items():
                    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
                    assert example.keys() == {"summary", "value"}
                    document_of_a_mode.validator(pointer).validate(example["value"])
                    met += 1
    assert met > 100


async def test_examples_of_errors_are_those_of_the_operation_and_of_the_mode(
    memory_service: Service, memory_token_service: Service
) -> None:
    def codes(service: Service, path: str, method: str, status: str) -> set[str]:
        content = service.document.openapi["paths"][path][method]["responses"][status]["content"]
        return set(content["application/problem+json"]["examples"])

    assert codes(memory_service, "/users", "post", "400") == {"empty_body", "invalid_json"}
    assert codes(memory_service, "/users", "get", "400") == {"invalid_cursor"}
    assert codes(memory_service, "/users/{id}", "patch", "409") == {"email_taken", "username_taken"}
    assert codes(memory_token_service, "/users/{id}", "patch", "409") == {"email_taken", "username_taken", "last_admin"}
    assert codes(memory_service, "/users/{id}/password", "put", "403") == {"wrong_password", "not_local"}
    assert codes(memory_token_service, "/users/{id}/password", "put", "403") == {"wrong_password"}
    assert codes(memory_token_service, "/users", "post", "401") == {"not_signed_in", "invalid_token"}
    for path, method, operation in operations(memory_service.document):
        assert "401" not in operation["responses"]
        assert "not_local" in codes(memory_service, path, method, "403")


async def test_no_request_schema_has_a_default(document_of_a_mode: Document) -> None:
    """Generators of typed clients treat a field with a default as always present."""
    for path, method, operation in operations(document_of_a_mode):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = _resolve(document_of_a_mode, content["schema"])
            assert not [node for node in nodes(schema) if "default" in node], f"{method} {path}"


async def test_the_document_says_who_serves_it_by_which_license_and_what_its_tags_are(
    document_of_a_mode: Document,
) -> None:
    openapi = document_of_a_mode.openapi
    assert [server["url"] for server in openapi["servers"]] == ["/"]
    assert openapi["info"]["license"]["identifier"] == "Apache-2.0"
    tags = {tag["name"]: tag["description"] for tag in openapi["tags"]}
    assert all(tags.values())
    assert set(tags) == {tag for _, _, operation in operations(document_of_a_mode) for tag in operation["tags"]}


async def test_every_operation_says_whether_it_requires_authentication(
    memory_service: Service, memory_token_service: Service
) -> None:
    assert all(operation["security"] == [] for _, _, operation in operations(memory_service.document))
    assert "securitySchemes" not in memory_service.document.openapi["components"]
    required = {
        operation["operationId"]: operation["security"] for _, _, operation in operations(memory_token_service.document)
    }
    (scheme,) = memory_token_service.document.openapi["components"]["securitySchemes"]
    assert required["check_liveness"] == required["create_token"] == required["list_keys"] == []
    assert required["get_user"] == required["list_sessions"] == [{scheme: []}]
    assert sorted(required["create_user"], key=len) == [{}, {scheme: []}]


async def test_every_record_that_comes_out_has_examples(document: Document) -> None:
    for name in ("User", "Post", "Problem"):
        schema = next(s for key, s in document.openapi["components"]["schemas"].items() if s.get("title", key) == name)
        assert all(
            "examples" in field or "example" in field or "enum" in field or field.get("type") == "boolean"
            for field in (_with_examples(document, field) for field in schema["properties"].values())
        )


async def test_every_example_fits_its_schema(document: Document) -> None:
    met = 0
    for node in nodes(document.openapi):
        if isinstance(node.get("examples"), list) and isinstance(node.get("type"), str):
            for example in node["examples"]:
                jsonschema_rs.Draft202012Validator(node, validate_formats=True).validate(example)
                met += 1
    assert met > 10


async def test_schemas_name_every_field_and_no_others(document: Document) -> None:
    schemas = {schema.get("title", key): schema for key, schema in document.openapi["components"]["schemas"].items()}
    user, post = schemas["User"], schemas["Post"]
    user_fields = {"id", "email", "name", "username", "bio", "role", "active", "created_at", "updated_at"}
    assert set(user["properties"]) == set(user["required"]) == user_fields
    post_fields = {"id", "author_id", "title", "body", "created_at", "updated_at"}
    assert set(post["properties"]) == set(post["required"]) == post_fields


@pytest.mark.parametrize(
    ("path", "method", "required", "optional"),
    [
        ("/users", "post", {"email", "name"}, {"username", "bio", "password", "role", "active"}),
        ("/users/{id}", "put", {"email", "name"}, {"username", "bio", "role", "active"}),
        ("/users/{id}", "patch", set(), {"email", "name", "username", "bio", "role", "active"}),
        ("/users/{id}/posts", "post", {"title", "body"}, set()),
        ("/posts/{id}", "patch", set(), {"title", "body"}),
    ],
)
async def test_bodies_name_every_field_that_may_be_written(
    document: Document, path: str, method: str, required: set[str], optional: set[str]
) -> None:
    contents = document.openapi["paths"][path][method]["requestBody"]["content"]
    media_types = {"application/json", "application/merge-patch+json"} if method == "patch" else {"application/json"}
    assert set(contents) == media_types
    for content in contents.values():
        schema = _resolve(document, content["schema"])
        assert set(schema.get("required", ())) == required
        assert set(schema["properties"]) == required | optional
        assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("/users", "post", {201, 400, 403, 409, 413, 415, 422, 431, 500, 503}),
        ("/users", "get", {200, 400, 403, 422, 431, 500, 503}),
        ("/users/{id}", "get", {200, 304, 403, 404, 431, 500, 503}),
        ("/users/{id}", "put", {200, 400, 403, 404, 409, 412, 413, 415, 422, 431, 500, 503}),
        ("/users/{id}", "patch", {200, 400, 403, 404, 409, 412, 413, 415, 422, 431, 500, 503}),
        ("/users/{id}", "delete", {204, 403, 404, 412, 431, 500, 503}),
        ("/users/{id}/posts", "post", {201, 400, 403, 404, 413, 415, 422, 431, 500, 503}),
        ("/users/{id}/posts", "get", {200, 400, 403, 404, 422, 431, 500, 503}),
        ("/posts/{id}", "get", {200, 304, 403, 404, 431, 500, 503}),
        ("/posts/{id}", "patch", {200, 400, 403, 404, 412, 413, 415, 422, 431, 500, 503}),
        ("/posts/{id}", "delete", {204, 403, 404, 412, 431, 500, 503}),
    ],
)
async def test_every_status_is_named(document: Document, path: str, method: str, statuses: set[int]) -> None:
    assert {int(status) for status in document.openapi["paths"][path][method]["responses"]} == statuses


async def test_every_error_is_a_problem_document(document: Document) -> None:
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert set(answer["content"]) == {"application/problem+json"}


async def test_the_headers_that_count_are_named(document: Document) -> None:
    for path, method, operation in operations(document):
        headers = {
            parameter["name"].lower() for parameter in operation.get("parameters", ()) if parameter["in"] == "header"
        }
        if method in {"put", "patch", "delete"} and path.endswith("{id}"):
            assert "if-match" in headers
        if method == "get" and path.endswith("{id}"):
            assert "if-none-match" in headers
        for status, answer in operation["responses"].items():
            named = {name.lower() for name in answer["headers"]}
            assert "x-request-id" in named
            assert ("retry-after" in named) == (status in {"429", "503"})
            assert "etag" in named or method == "delete" or not ("{id}" in path and status == "304")


async def test_parameters_are_exact_and_none_is_null(document: Document) -> None:
    for _, _, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert parameter["description"]
            assert parameter["schema"].get("type") in {"string", "integer", "boolean"}
    listed = document.openapi["paths"]["/users"]["get"]["parameters"]
    schemas = {parameter["name"]: parameter["schema"] for parameter in listed}
    assert set(schemas) == {"limit", "order", "cursor", "offset", "count", "email", "username", "search"}
    assert [schemas["limit"][key] for key in ("minimum", "maximum", "default")] == [1, 200, 50]
    assert [schemas["offset"][key] for key in ("minimum", "maximum")] == [0, 10_000]
    assert (schemas["order"]["enum"], schemas["order"]["default"]) == (["asc", "desc"], "asc")
    assert [schemas["search"][key] for key in ("minLength", "maxLength")] == [1, 100]


def _examples(document: Document, content: dict[str, Any]) -> list[Any]:
    """Return the examples of a body: its own, its schema's, or one composed of those of its fields."""
    if "example" in content:
        return [content["example"]]
    if "examples" in content:
        return [example["value"] for example in content["examples"].values()]
    schema = _resolve(document, content["schema"])
    if "examples" in schema:
        return list(schema["examples"])
    fields = {name: _with_examples(document, field) for name, field in schema["properties"].items()}
    return [{name: field["examples"][0] for name, field in fields.items() if "examples" in field}]


def _with_examples(document: Document, field: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a field's schema that has the examples, without null."""
    alternatives = [_resolve(document, schema) for schema in field.get("anyOf", ())]
    return next((schema for schema in alternatives if schema.get("type") != "null"), _resolve(document, field))


def _resolve(document: Document, schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    resolved: dict[str, Any] = document.openapi["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return resolved
