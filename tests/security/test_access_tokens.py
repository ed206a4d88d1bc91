import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.security.access_tokens import JwtSigner
from adapters.security.signing_keys import Private, SigningKeys
from application.ports import AccessTokenClaims
from domain.errors import InvalidAccessToken
from domain.user import Role
from domain.values import SessionId, UserId

NOW: Final = datetime(2026, 11, 20, 20, 36, 0, 123_000, tzinfo=UTC)
LATER: Final = datetime(2026, 11, 20, 20, 51, tzinfo=UTC)
ACCESS: Final = AccessTokenClaims(
    user_id=UserId("0193a7c5-0000-7000-8000-00000000000a"),
    session_id=SessionId("0193a7c5-0000-7000-8000-00000000000b"),
    role=Role.MEMBER,
    expires_at=LATER,
)
ED25519: Final = Ed25519PrivateKey.generate()
P256: Final = generate_private_key(SECP256R1())


def signer_of(private: Private, *others: Private, issuer: str = "userport", audience: str = "api") -> JwtSigner:
    keys = SigningKeys(private, [other.public_key() for other in others])
    return JwtSigner(keys, issuer=issuer, audience=audience)


SIGNER: Final = signer_of(ED25519)
KEY: Final = SigningKeys(ED25519).signing


def claims(**changed: Any) -> dict[str, Any]:
    """Return the claims of a valid token; a change to `...` removes a claim."""
    good = {
        "iss": "userport",
        "aud": "api",
        "sub": ACCESS.user_id,
        "jti": "some-id",
        "iat": int(NOW.timestamp()),
        "exp": int(LATER.timestamp()),
        "role": "member",
        "sid": ACCESS.session_id,
    }
    return {name: value for name, value in (good | changed).items() if value is not ...}


def header(**changed: Any) -> dict[str, Any]:
    good = {"typ": "at+jwt", "alg": "EdDSA", "kid": KEY.id}
    return {name: value for name, value in (good | changed).items() if value is not ...}


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def forged(
    header: Mapping[str, Any] | bytes,
    claims: Mapping[str, Any] | bytes,
    sign: Callable[[bytes], bytes] = ED25519.sign,
) -> str:
    """Build a token by hand, without any validation."""
    parts = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims))
    signed = ".".join(map(encoded, parts))
    return f"{signed}.{encoded(sign(signed.encode()))}"


def assert_refused(token: str, signer: JwtSigner = SIGNER, now: datetime = NOW) -> None:
    with pytest.raises(InvalidAccessToken):
        signer.verify(token, now)


# Signing


@pytest.mark.parametrize(("private", "algorithm"), [(ED25519, "EdDSA"), (P256, "ES256")])
def test_a_token_says_what_rfc_9068_wants(private: Private, algorithm: str) -> None:
    signer = signer_of(private)
    token = signer.sign(ACCESS, NOW)
    head, body, _ = token.split(".")
    assert decoded(head) == {"typ": "at+jwt", "alg": algorithm, "kid": signer.public_keys()[0]["kid"]}
    said = decoded(body)
    assert len(said.pop("jti")) > 16
    assert said == claims(jti=...)
    assert signer.verify(token, NOW) == ACCESS
    assert len(token) < 700


def test_no_two_tokens_have_one_id() -> None:
    assert len({decoded(SIGNER.sign(ACCESS, NOW).split(".")[1])["jti"] for _ in range(50)}) == 50


@pytest.mark.parametrize("private", [ED25519, P256])
def test_anybody_can_verify_a_token_by_the_public_keys(private: Private) -> None:
    signer = signer_of(private)
    key = jwt.PyJWKSet.from_dict({"keys": [dict(key) for key in signer.public_keys()]})[
        jwt.get_unverified_header(signer.sign(ACCESS, NOW))["kid"]
    ]
    current = datetime.now(UTC)
    token = signer.sign(
        AccessTokenClaims(
            user_id=ACCESS.user_id, session_id=ACCESS.session_id, role=Role.ADMIN, expires_at=current + (LATER - NOW)
        ),
        current,
    )
    read = jwt.decode(token, key, audience="api", issuer="userport")
    assert read["role"] == "admin"


def test_an_independent_reader_finds_the_signature_right() -> None:
    signed, _, signature = SIGNER.sign(ACCESS, NOW).rpartition(".")
    ED25519.public_key().verify(base64.urlsafe_b64decode(f"{signature}=="), signed.encode())


def test_public_keys_are_public() -> None:
    okp, ec = signer_of(ED25519, P256).public_keys()
    assert set(okp) == {"kty", "crv", "x", "kid", "use", "alg"}
    assert set(ec) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (okp["kty"], okp["crv"], okp["alg"], okp["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
    assert (ec["kty"], ec["crv"], ec["alg"], ec["use"]) == ("EC", "P-256", "ES256", "sig")


# Valid tokens


def test_a_token_is_good_until_it_expires_by_the_clock_that_is_given() -> None:
    token = SIGNER.sign(ACCESS, NOW)
    assert SIGNER.verify(token, LATER - timedelta(microseconds=1)) == ACCESS
    assert_refused(token, now=LATER)
    assert_refused(token, now=LATER + timedelta(days=1))


def test_clocks_may_be_a_minute_apart() -> None:
    token = forged(header(), claims(iat=int(NOW.timestamp()) + 60))
    assert SIGNER.verify(token, NOW) == ACCESS
    assert_refused(forged(header(), claims(iat=int(NOW.timestamp()) + 61)))


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+JWT"])
def test_a_media_type_has_no_case_and_may_be_written_out(kind: str) -> None:
    assert SIGNER.verify(forged(header(typ=kind), claims()), NOW) == ACCESS


def test_two_keys_are_good_while_one_takes_over_from_the_other() -> None:
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    before, announced, taken_over, after = signer_of(old), signer_of(old, new), signer_of(new, old), signer_of(new)
    for one, following in ((before, announced), (announced, taken_over), (taken_over, after)):
        # Some processes have not been restarted yet.
        assert following.verify(one.sign(ACCESS, NOW), NOW) == ACCESS
        assert one.verify(following.sign(ACCESS, NOW), NOW) == ACCESS
    assert_refused(before.sign(ACCESS, NOW), after)
    assert_refused(after.sign(ACCESS, NOW), before)


# Invalid tokens


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("signature", ["", "AA"])
def test_a_token_without_a_signature_is_refused(algorithm: str, signature: str) -> None:
    unsigned = forged(header(alg=algorithm), claims()).rpartition(".")[0]
    assert_refused(f"{unsigned}.{signature}")
    assert_refused(unsigned)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_no_secret_to_sign_with(algorithm: str) -> None:
    public = ED25519.public_key()
    secrets = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.Raw, PublicFormat.Raw),
        json.dumps(SIGNER.public_keys()[0]).encode(),
        SIGNER.public_keys()[0]["x"].encode(),
        KEY.id.encode(),
        b"",
    ]
    for secret in secrets:

        def sign(signed: bytes, secret: bytes = secret) -> bytes:
            return hmac.digest(secret, signed, f"sha{algorithm[2:]}")

        assert_refused(forged(header(alg=algorithm), claims(), sign))
        assert_refused(forged(header(), claims(), sign))


@pytest.mark.parametrize(
    "changed",
    [
        {"typ": "JWT"}, {"typ": "jwt"}, {"typ": "at+jwt+x"}, {"typ": "application/jwt"}, {"typ": ""}, {"typ": None},
        {"typ": 1}, {"typ": ["at+jwt"]}, {"typ": ...}, {"typ": "text/at+jwt"},
        {"alg": "ES256"}, {"alg": "RS256"}, {"alg": "Ed25519"}, {"alg": "eddsa"}, {"alg": ...}, {"alg": None},
        {"alg": ["EdDSA"]}, {"alg": {"EdDSA": 1}}, {"alg": True},
        {"kid": ...}, {"kid": ""}, {"kid": None}, {"kid": 1}, {"kid": ["x"]}, {"kid": "../../../dev/null"},
        {"kid": "' OR 1=1 --"},
        {"crit": []}, {"crit": ["exp"], "exp": 1}, {"crit": ["b64"], "b64": True}, {"crit": ["b64"], "b64": False},
        {"crit": None}, {"crit": "b64"}, {"b64": False},
    ],
    ids=str,
)  # fmt: skip
def test_a_foreign_header_is_rejected_even_if_signed(changed: dict[str, Any]) -> None:
    assert_refused(forged(header(**changed), claims()))


MISTYPED: Final[Sequence[Any]] = (1, 1.5, True, False, [], {}, ["member"], "", "x", "\0", "1763670960")


@pytest.mark.parametrize("name", sorted(claims()))
def test_a_claim_that_is_missing_or_of_another_type_is_refused_even_if_signed(name: str) -> None:
    good: Any = claims()[name]
    for value in (..., None, [good], {"a": good}, *MISTYPED):
        if name == "jti" and isinstance(value, str) and value:
            continue  # any text is valid
        if name == "iat" and repr(value) == "1":
            continue  # long ago, and in order
        assert_refused(forged(header(), claims(**{name: value})))


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "Userport"}, {"iss": "userport/"}, {"iss": "https://evil.example"}, {"iss": ["userport"]},
        {"aud": "other"}, {"aud": "API"}, {"aud": ["api", "other"]}, {"aud": ["api"]},
        {"sub": "ann@example.com"}, {"sub": f"{ACCESS.user_id}0"}, {"sid": f"{ACCESS.session_id}\n"}, {"sid": "me"},
        {"role": "owner"}, {"role": "ADMIN"}, {"role": "Role.ADMIN"}, {"role": ["admin"]},
        {"exp": int(NOW.timestamp())}, {"exp": int(NOW.timestamp()) - 1}, {"exp": 0}, {"exp": -1}, {"exp": 1e300},
        {"exp": 10**18}, {"exp": 10**100}, {"exp": -(10**100)}, {"exp": float("nan")}, {"exp": float("inf")},
        {"exp": LATER.timestamp()}, {"exp": LATER.isoformat()},
        {"iat": int(LATER.timestamp())}, {"iat": 10**30}, {"iat": float("-inf")},
        {"nbf": int(LATER.timestamp())}, {"nbf": "soon"}, {"nbf": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_claim_that_is_wrong_is_refused_even_if_signed(changed: dict[str, Any]) -> None:
    assert_refused(forged(header(), claims(**changed)))


def test_a_token_for_another_audience_or_from_another_issuer_is_refused() -> None:
    assert_refused(signer_of(ED25519, audience="other").sign(ACCESS, NOW))
    assert_refused(signer_of(ED25519, issuer="other").sign(ACCESS, NOW))


def test_a_token_of_another_key_is_rejected_under_any_name() -> None:
    other = Ed25519PrivateKey.generate()
    assert_refused(signer_of(other).sign(ACCESS, NOW))
    assert_refused(forged(header(), claims(), other.sign))


def test_a_key_is_good_for_its_own_algorithm_alone() -> None:
    both = signer_of(ED25519, P256)
    p256_id = SigningKeys(P256).signing.id
    for algorithm, key_id in (("EdDSA", p256_id), ("ES256", KEY.id), ("ES384", p256_id)):
        assert_refused(forged(header(alg=algorithm, kid=key_id), claims()), both)
    assert_refused(forged(header(kid=p256_id), claims(), lambda signed: hashlib.sha256(signed).digest() * 2), both)
    token = signer_of(P256).sign(ACCESS, NOW)
    assert both.verify(token, NOW) == ACCESS
    for signature in (bytes(64), b"\xff" * 64, bytes(63), b"\x30\x06\x02\x01\x01\x02\x01\x01"):
        assert_refused(f"{token.rpartition('.')[0]}.{encoded(signature)}", both)


def test_a_key_that_the_token_itself_brings_is_never_looked_at() -> None:
    attacker = Ed25519PrivateKey.generate()
    brought = dict(SigningKeys(attacker).signing.jwk)
    bringing: dict[str, Any] = {
        "jwk": brought,
        "jku": "http://127.0.0.1:1/keys",
        "x5u": "http://127.0.0.1:1/certificate",
        "x5c": ["AAAA"],
    }
    assert_refused(forged(header(**bringing), claims(), attacker.sign))
    assert_refused(forged(header(**bringing, kid=brought["kid"]), claims(), attacker.sign))
    assert SIGNER.verify(forged(header(**bringing), claims()), NOW) == ACCESS  # the key reference is ignored


def test_no_part_of_a_token_can_be_changed() -> None:
    token = SIGNER.sign(ACCESS, NOW)
    head, body, signature = token.split(".")
    admin = encoded(json.dumps(decoded(body) | {"role": "admin"}).encode())
    assert_refused(f"{head}.{admin}.{signature}")
    spaced = encoded(json.dumps(decoded(head)).encode())
    assert spaced != head
    assert_refused(f"{spaced}.{body}.{signature}")
    for position, character in enumerate(token):
        other = "A" if character != "A" else "B"
        if character != ".":
            assert_refused(f"{token[:position]}{other}{token[position + 1 :]}")


@pytest.mark.parametrize(
    "around", ["{}=", "{}==", " {}", "{} ", "{}\n", "{}.", ".{}", "{}.AA", "Bearer {}", "{}\0", "{}\ud800"]
)
def test_a_token_is_written_in_one_way_alone(around: str) -> None:
    assert_refused(around.format(SIGNER.sign(ACCESS, NOW)))


def test_a_long_token_is_refused_even_if_signed() -> None:
    padding = 2_000
    assert SIGNER.verify(forged(header(), claims(jti="x" * padding)), NOW) == ACCESS
    assert_refused(forged(header(), claims(jti="x" * 2 * padding)))
    assert_refused("a" * 10_000_000)


@pytest.mark.parametrize(
    "part", [b"", b"null", b"[]", b'"text"', b"1", b"{", b"[" * 2_000, b'{"a":' * 500, b"\xff\xfe", b"{}", b"NaN"]
)
def test_a_payload_that_is_not_a_json_object_is_rejected_even_if_signed(part: bytes) -> None:
    assert_refused(forged(part, claims()))
    assert_refused(forged(header(), part))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
changes = st.dictionaries(st.sampled_from([*claims(), "nbf", "cnf"]), json_values, max_size=3)
header_changes = st.dictionaries(
    st.sampled_from(["typ", "alg", "kid", "crit", "b64", "jwk", "zip"]), json_values, max_size=2
)


@given(token=st.text() | st.from_regex(r"[\w-]{0,20}\.[\w-]{0,20}\.[\w-]{0,20}"))
@example(token="")
@example(token="..")
@example(token="e30.e30.e30")
def test_any_text_is_refused_as_a_token(token: str) -> None:
    assert_refused(token)


@given(header_changes=header_changes, changes=changes)
def test_any_signed_content_is_accepted_or_rejected(header_changes: dict[str, Any], changes: dict[str, Any]) -> None:
    with suppress(InvalidAccessToken):
        access = SIGNER.verify(forged(header() | header_changes, claims() | changes), NOW)
        assert access.expires_at > NOW
        assert access.role in Role
        assert (access.user_id, access.session_id) == (
            UserId.parse(access.user_id),
            SessionId.parse(access.session_id),
        )
