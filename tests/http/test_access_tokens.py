"""Valid access tokens are accepted (RFC 6750), and forged ones are not (RFC 8725)."""

import json
import time
from base64 import urlsafe_b64encode
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tests.http.problems import code_of
from tests.http.records import UNKNOWN_ID
from tests.http.service import Service
from tests.http.sign_in_helpers import SIGNING_KEY, SignedInUser, a_member, bearer

KEY = load_pem_private_key(SIGNING_KEY.encode(), None)
assert isinstance(KEY, Ed25519PrivateKey)
PUBLIC = KEY.public_key()

GUARDED = [
    ("GET", "/users"),
    ("GET", "/users/me"),
    ("GET", f"/users/{UNKNOWN_ID}"),
    ("GET", "/users/no-uuid"),
    ("PUT", f"/users/{UNKNOWN_ID}"),
    ("PATCH", f"/users/{UNKNOWN_ID}"),
    ("DELETE", f"/users/{UNKNOWN_ID}"),
    ("PUT", f"/users/{UNKNOWN_ID}/password"),
    ("POST", f"/users/{UNKNOWN_ID}/invitation"),
    ("POST", "/users/me/email-change"),
    ("POST", "/auth/email-verification"),
    ("POST", f"/users/{UNKNOWN_ID}/posts"),
    ("GET", f"/users/{UNKNOWN_ID}/posts"),
    ("GET", f"/posts/{UNKNOWN_ID}"),
    ("PATCH", f"/posts/{UNKNOWN_ID}"),
    ("DELETE", f"/posts/{UNKNOWN_ID}"),
    ("GET", "/auth/sessions"),
    ("DELETE", f"/auth/sessions/{UNKNOWN_ID}"),
]
OPEN_TO_ALL = ["/health/live", "/health/ready", "/docs", "/openapi.json", "/.well-known/jwks.json"]


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_requests_without_a_token_are_rejected(
    memory_token_client: httpx.AsyncClient, method: str, path: str
) -> None:
    for content in (b"", b"{not json", b"{}"):  # authentication comes before any other check
        response = await memory_token_client.request(
            method, path, content=content, headers={"content-type": "application/json"}
        )
        assert (response.status_code, code_of(response)) == (401, "not_signed_in")
        assert response.headers["www-authenticate"] == "Bearer"


async def test_every_call_of_the_document_but_a_few_is_guarded(memory_token_service: Service) -> None:
    operations = {
        (method.upper(), path)
        for path, item in memory_token_service.document.openapi["paths"].items()
        for method, operation in item.items()
        if {"password": []} in operation.get("security", ()) and {} not in operation["security"]
    }
    as_documented = {
        (method, path.replace(UNKNOWN_ID, "{id}")) for method, path in GUARDED if not path.endswith(("/me", "/no-uuid"))
    }
    assert operations == as_documented
    unguarded = {
        path
        for path, item in memory_token_service.document.openapi["paths"].items()
        for operation in item.values()
        if not operation["security"]
    }
    assert unguarded == {
        "/auth/token",
        "/auth/revoke",
        "/auth/email-verification/confirm",
        "/auth/password-reset",
        "/auth/password-reset/confirm",
        "/auth/email-change/confirm",
        "/auth/email-change/undo",
        "/auth/invitation/confirm",
        "/.well-known/jwks.json",
        "/health/live",
        "/health/ready",
    }


@pytest.mark.parametrize("path", OPEN_TO_ALL)
async def test_some_things_are_open_to_all_even_with_a_bad_token(
    memory_token_client: httpx.AsyncClient, path: str
) -> None:
    assert (await memory_token_client.get(path)).status_code == 200
    assert (await memory_token_client.get(path, headers=bearer("bad"))).status_code == 200


@pytest.mark.parametrize("header", ["Basic YTpi", "bearer", "Bearer ", "Token x", "", "Bearerx"])
async def test_a_malformed_bearer_token_counts_as_none(memory_token_client: httpx.AsyncClient, header: str) -> None:
    response = await memory_token_client.get("/users/me", headers={"authorization": header})
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


async def test_the_scheme_has_no_case(memory_token_client: httpx.AsyncClient) -> None:
    person = await a_member(memory_token_client)
    for scheme in ("bearer", "BEARER", "Bearer  "):
        headers = {"authorization": f"{scheme} {person.tokens['access_token']}"}
        assert (await memory_token_client.get("/users/me", headers=headers)).status_code == 200


async def test_two_tokens_at_once_are_none(memory_token_client: httpx.AsyncClient) -> None:
    person = await a_member(memory_token_client)
    twice = [("authorization", person.headers["authorization"])] * 2
    assert (await memory_token_client.get("/users/me", headers=twice)).status_code == 401


def encoded(part: Any) -> str:
    return urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def forged(token: str) -> dict[str, str]:
    """Yield tokens that differ from a valid one in one respect each."""
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    head, body, signature = token.split(".")

    def signed(*, key: Any = KEY, algorithm: str = "EdDSA", drop: str = "", headers: Any = None, **changed: Any) -> str:
        content = {name: value for name, value in {**claims, **changed}.items() if name != drop}
        return jwt.encode(content, key, algorithm, {**header, **(headers or {}), "alg": algorithm})

    def hmac_signed(secret: bytes) -> str:
        unsigned = f"{encoded({**header, 'alg': 'HS256'})}.{body}"
        mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(unsigned.encode(), secret)
        return f"{unsigned}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    others_key = Ed25519PrivateKey.generate()
    pem = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    now = int(time.time())
    made = {
        "no algorithm": f"{encoded({**header, 'alg': 'none'})}.{body}.",
        "no algorithm but a signature": f"{encoded({**header, 'alg': 'none'})}.{body}.{signature}",
        "another spelling of no algorithm": f"{encoded({**header, 'alg': 'NonE'})}.{body}.",
        "HMAC by the public key in PEM": hmac_signed(pem),
        "HMAC by the public key's bytes": hmac_signed(PUBLIC.public_bytes(Encoding.Raw, PublicFormat.Raw)),
        "HMAC by nothing": hmac_signed(b""),
        "the key of another service": signed(key=others_key),
        "the type of an id token": signed(headers={"typ": "JWT"}),
        "no type": signed(headers={"typ": None}),
        "a key that is not known": signed(headers={"kid": "another"}),
        "a key of no text": f"{encoded({**header, 'kid': [1]})}.{body}.{signature}",
        "a critical extension": signed(headers={"crit": ["x"], "x": 1}),
        "another issuer": signed(iss="https://elsewhere.example"),
        "another audience": signed(aud="elsewhere"),
        "several audiences": signed(aud=["userport", "elsewhere"]),
        "expired": signed(iat=now - 1_000, exp=now - 1),
        "issued in the future": signed(iat=now + 3_600, exp=now + 7_200),
        "an expiry that is a text": f"{head}.{encoded({**claims, 'exp': '9999999999'})}.{signature}",
        "an endless expiry": signed(exp=10**30),
        "an unknown role": signed(role="root"),
        "a user who is not there": signed(sub=str(uuid4())),
        "a session that is not there": signed(sid=str(uuid4())),
        "no user": signed(sub="ann"),
        "changed claims": f"{head}.{encoded({**claims, 'role': 'admin'})}.{signature}",
        "no signature": f"{head}.{body}.",
        "a damaged signature": f"{head}.{body}.{signature[:-4]}AAAA",
        "two parts": f"{head}.{body}",
        "four parts": f"{token}.x",
        "something in front": f"x{token}",
        "no JSON": f"{head}.{urlsafe_b64encode(b'no json').decode()}.{signature}",
        "a list of claims": f"{head}.{encoded([1])}.{signature}",
        "too long": f"{token}{'A' * 10_000}",
        "not ASCII": "é",
        "nonsense": "x",
    }
    return made | {f"no {name}": signed(drop=name) for name in claims}


@pytest.fixture
async def member(memory_token_client: httpx.AsyncClient) -> SignedInUser:
    return await a_member(memory_token_client)


async def test_forged_tokens_are_rejected(memory_token_client: httpx.AsyncClient, member: SignedInUser) -> None:
    tokens = forged(member.tokens["access_token"])
    assert len(tokens) > 40
    let_in = []
    for name, token in tokens.items():
        headers = [(b"authorization", f"Bearer {token}".encode())]
        response = await memory_token_client.get("/users/me", headers=headers)
        if response.status_code != 401:
            let_in.append((name, response.status_code))
            continue
        assert code_of(response) == "invalid_token"
        assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert not let_in
    assert (await memory_token_client.get("/users/me", headers=member.headers)).status_code == 200


async def test_a_token_says_what_others_need_to_know(
    memory_token_client: httpx.AsyncClient, member: SignedInUser
) -> None:
    token = member.tokens["access_token"]
    (key,) = (await memory_token_client.get("/.well-known/jwks.json")).json()["keys"]
    assert key == {"kty": "OKP", "crv": "Ed25519", "x": key["x"], "kid": key["kid"], "use": "sig", "alg": "EdDSA"}
    assert jwt.get_unverified_header(token) == {"typ": "at+jwt", "alg": "EdDSA", "kid": key["kid"]}
    claims = jwt.decode(token, jwt.PyJWK(key), ["EdDSA"], audience="userport", issuer="userport")
    assert set(claims) == {"iss", "aud", "sub", "jti", "iat", "exp", "role", "sid"}
    assert (claims["sub"], claims["role"]) == (member.user["id"], "member")
    assert claims["exp"] - claims["iat"] == 900
