"""A third-party OAuth 2 client signs in, refreshes its tokens and signs out, over a real socket."""

import time
from collections.abc import Iterator

import pytest
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet

from tests.cli.serving import serving, wait_until_ready
from tests.http.records import Record, new_user
from tests.http.sign_in_helpers import PASSWORD, SIGNING_KEY

pytestmark = pytest.mark.slow

REVOCATION_DELAY_SECONDS = 1.0


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    settings = {"USERPORT_ISSUER": "https://users.example.org", "USERPORT_AUDIENCE": "https://api.example.org"}
    with serving("memory://", USERPORT_SIGNING_KEY=SIGNING_KEY, **settings) as (_, address):
        wait_until_ready(address)
        yield address


@pytest.fixture(params=[{}, {"client_secret": "of no use here"}], ids=["public", "with-a-secret"])
def client(request: pytest.FixtureRequest, address: str) -> Iterator[OAuth2Session]:
    """A third-party client."""
    with OAuth2Session("a foreign client", token_endpoint=f"{address}/auth/token", **request.param) as client:
        yield client


@pytest.fixture
def user(client: OAuth2Session, address: str) -> Record:
    """The user as whom the client has signed in."""
    response = client.post(f"{address}/users", json=new_user(password=PASSWORD), withhold_token=True)
    assert response.status_code == 201
    user: Record = response.json()
    client.fetch_token(username=user["email"], password=PASSWORD)
    return user


def let_expire(client: OAuth2Session) -> None:
    """Make the client treat its access token as expired."""
    client.token = {**client.token, "expires_at": int(time.time()) - 1}


def test_it_signs_in_by_the_password_grant_and_calls(client: OAuth2Session, address: str, user: Record) -> None:
    own = client.get(f"{address}/users/me")
    assert (own.status_code, own.json()) == (200, user)
    assert not client.token.is_expired(leeway=60)


def test_it_understands_why_it_may_not_sign_in(client: OAuth2Session, user: Record) -> None:
    with pytest.raises(OAuthError) as caught:
        client.fetch_token(username=user["email"], password="wrong horse battery")
    assert (caught.value.error, caught.value.description) == ("invalid_grant", "The name or the password is wrong.")


def test_it_refreshes_by_itself_when_its_token_has_expired(client: OAuth2Session, address: str, user: Record) -> None:
    for _ in range(3):
        before = dict(client.token)
        let_expire(client)
        own = client.get(f"{address}/users/me")
        assert (own.status_code, own.json()) == (200, user)
        assert client.token["access_token"] != before["access_token"]
        assert client.token["refresh_token"] != before["refresh_token"]


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_it_signs_out_by_revoking_a_token(client: OAuth2Session, address: str, user: Record, kind: str) -> None:
    assert client.get(f"{address}/users/me").status_code == 200
    revoked = client.revoke_token(f"{address}/auth/revoke", client.token[kind], token_type_hint=kind)
    assert revoked.status_code == 200
    time.sleep(REVOCATION_DELAY_SECONDS)
    refused = client.get(f"{address}/users/me")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
    let_expire(client)
    with pytest.raises(OAuthError, match="invalid_grant"):
        client.get(f"{address}/users/me")


# RFC 9864 names the algorithm Ed25519, which few libraries support yet.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")
def test_another_library_verifies_its_token_by_the_published_keys(
    client: OAuth2Session, address: str, user: Record
) -> None:
    keys = KeySet.import_key_set(client.get(f"{address}/.well-known/jwks.json", withhold_token=True).json())
    token = jwt.decode(client.token["access_token"], keys, algorithms=["EdDSA"])
    assert (token.header["typ"], token.header["alg"]) == ("at+jwt", "EdDSA")
    assert (token.claims["sub"], token.claims["role"]) == (user["id"], "member")
    jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": "https://users.example.org"},
        aud={"essential": True, "value": "https://api.example.org"},
        iat={"essential": True},
        exp={"essential": True},
        jti={"essential": True},
        sid={"essential": True},
    ).validate(token.claims)
    head, body, signature = client.token["access_token"].split(".")
    with pytest.raises(BadSignatureError):
        jwt.decode(f"{head}.{body}.{signature[::-1]}", keys, algorithms=["EdDSA"])
