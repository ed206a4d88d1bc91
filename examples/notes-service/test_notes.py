from collections.abc import Iterator
from pathlib import Path

import pytest
from adapters.security.signing_keys import SigningKeys
from application.principal import Principal
from domain.values import SessionId, UserId
from entrypoints.container import Container
from entrypoints.http.dependencies import current_principal
from entrypoints.settings import Settings
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from notes_service.app import create_app

ANN = Principal(
    UserId("01a1fc03-c17d-75ed-bf71-79e707db80f3"), SessionId("01a1fc03-c17d-75ed-bf71-79e707db80f4"), False
)
BEN = Principal(
    UserId("01a1fc03-c17d-75ed-bf71-79e707db80f5"), SessionId("01a1fc03-c17d-75ed-bf71-79e707db80f6"), False
)

PASSWORD = "a long and quiet password"  # noqa: S105


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setenv("NOTES_FILE", str(tmp_path / "notes.db"))
    settings = Settings(storage="memory://", signing_key=SecretStr(SigningKeys.new().to_pem()))
    return create_app(Container(settings=settings))


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


def test_each_user_sees_their_own_notes(app: FastAPI, client: TestClient) -> None:
    app.dependency_overrides[current_principal] = lambda: ANN
    assert client.post("/notes", json={"text": "Buy milk"}).json() == {"id": 1, "text": "Buy milk"}
    assert [note["text"] for note in client.get("/notes").json()] == ["Buy milk"]
    app.dependency_overrides[current_principal] = lambda: BEN
    assert client.get("/notes").json() == []


def test_a_caller_signs_in_at_userport(client: TestClient) -> None:
    refused = client.get("/notes")
    assert (refused.status_code, refused.json()["code"]) == (401, "not_signed_in")
    user = {"email": "ann@example.org", "name": "Ann", "password": PASSWORD}
    assert client.post("/users", json=user).status_code == 201
    form = {"grant_type": "password", "username": "ann@example.org", "password": PASSWORD}
    token = client.post("/auth/token", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert client.post("/notes", json={"text": "Buy milk"}, headers=headers).status_code == 201
    assert len(client.get("/notes", headers=headers).json()) == 1


def test_errors_are_problem_documents_as_userports_are(app: FastAPI, client: TestClient) -> None:
    app.dependency_overrides[current_principal] = lambda: ANN
    response = client.post("/notes", json={"text": ""})
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert response.json()["errors"][0]["pointer"] == "/text"


def test_metrics_know_routes_by_their_templates(client: TestClient) -> None:
    client.get("/users/01a1fc03-c17d-75ed-bf71-79e707db80f3")
    client.get("/notes")
    metrics = client.get("/metrics").text
    assert 'http_requests_total{handler="/users/{id}",method="GET",status="4xx"}' in metrics
    assert 'http_requests_total{handler="/notes",method="GET",status="4xx"}' in metrics


def test_the_documentation_shows_both(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["info"]["title"] == "notes"
    assert {"/notes", "/users", "/auth/token"} <= document["paths"].keys()
    assert document["paths"]["/notes"]["post"]["security"] == document["paths"]["/users"]["get"]["security"] != []
    assert client.get("/docs").status_code == 200
