"""S6: whatever is wrong with a token, the answer is Unauthenticated, never an error of ours."""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from bailiwick_kit.clock import FixedClock
from bailiwick_kit.errors import Unauthenticated
from bailiwick_kit.tokens.access_tokens import Claims, TokenInvalid, TokenVerifier, bearer_token
from bailiwick_kit.tokens.jwks import StaticKeys

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
ISSUER = "http://127.0.0.1:8000"
KEY = ECKey.generate_key("P-256", parameters={"kid": "k1"})
OTHER = ECKey.generate_key("P-256", parameters={"kid": "k1"})
ROTATED_OUT = ECKey.generate_key("P-256", parameters={"kid": "k0"})
P384 = ECKey.generate_key("P-384", parameters={"kid": "k1"})
RSA = RSAKey.generate_key(2048, parameters={"kid": "k1"})
IDS = {name: str(UUID(int=n)) for n, name in enumerate(("sub", "org", "mem", "sid"), 1)}


def seconds(delta: int = 0) -> int:
    return int(NOW.timestamp()) + delta


def good(**changes: Any) -> dict[str, Any]:
    claims = {
        "iss": ISSUER,
        "aud": "bailiwick",
        **IDS,
        "mver": 3,
        "kind": "member",
        "iat": seconds(),
        "exp": seconds(600),
    }
    claims |= changes
    return {name: value for name, value in claims.items() if value is not ...}


def header(**changes: Any) -> dict[str, Any]:
    parts = {"alg": "ES256", "typ": "at+jwt", "kid": "k1"} | changes
    return {name: value for name, value in parts.items() if value is not ...}


def b64(raw: Any) -> str:
    raw = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(
    claims: Any, head: dict[str, Any] | None = None, key: ECKey | RSAKey = KEY, alg: str = "ES256"
) -> str:
    """Sign anything at all, as a forger would: the library refuses half of these headers."""
    head = header() if head is None else head
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    signing_input = f"{b64(head)}.{b64(payload)}".encode()
    algorithm = jws.JWSRegistry.algorithms[alg]
    return f"{signing_input.decode()}.{b64(algorithm.sign(signing_input, key))}"


def hs256(head: dict[str, Any]) -> str:
    """Sign with the public key as an HMAC secret: the classic confusion."""
    signing_input = f"{b64(head)}.{b64(good())}".encode()
    return f"{signing_input.decode()}.{b64(hmac.digest(KEY.as_pem(private=False), signing_input, 'sha256'))}"


def unsigned(head: dict[str, Any]) -> str:
    return f"{b64(head)}.{b64(good())}."


def changed(part: Any, position: int) -> str:
    """Return a good token with one part replaced and the signature left."""
    parts = signed(good()).split(".")
    parts[position] = part if isinstance(part, str) else b64(part)
    return ".".join(parts)


def verifier(leeway: int = 60) -> TokenVerifier:
    return TokenVerifier(StaticKeys(KEY), issuer=ISSUER, clock=FixedClock(NOW), leeway=leeway)


async def test_a_good_token_says_who_calls() -> None:
    claims = await verifier().verify(signed(good()))
    assert claims == Claims(
        account=UUID(int=1),
        org_id=UUID(int=2),
        member_id=UUID(int=3),
        member_version=3,
        kind="member",
        session=UUID(int=4),
        expires_at=NOW + timedelta(minutes=10),
    )


GOOD = {
    "unknown claims are ignored": lambda: signed(good(role="brand_manager", scope="x")),
    "a storefront has no session": lambda: signed(good(kind="service", sid=...)),
    "expired 59 seconds ago, for another clock": lambda: signed(
        good(iat=seconds(-600), exp=seconds(-59))
    ),
    "valid in 59 seconds, for another clock": lambda: signed(good(nbf=seconds(59))),
    "issued in 59 seconds, for another clock": lambda: signed(good(iat=seconds(59))),
    "fractions of a second": lambda: signed(good(exp=seconds(60) + 0.5)),
}


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD.keys())
async def test_what_is_meant_for_us_passes(make: Callable[[], str]) -> None:
    await verifier().verify(make())


FORGED = {
    "alg none": lambda: unsigned(header(alg="none")),
    "alg None": lambda: unsigned(header(alg="None")),
    "alg NONE": lambda: unsigned(header(alg="NONE")),
    "alg none, signed": lambda: signed(good(), header(alg="none")),
    "HS256 with the public key": lambda: hs256(header(alg="HS256")),
    "HMAC under the name ES256": lambda: hs256(header()),
    "alg es256": lambda: signed(good(), header(alg="es256")),
    "alg missing": lambda: signed(good(), header(alg=...)),
    "alg of another type": lambda: signed(good(), header(alg=["ES256"])),
    "RS256": lambda: signed(good(), header(alg="RS256"), RSA, "RS256"),
    "ES384": lambda: signed(good(), header(alg="ES384"), P384, "ES384"),
    "empty signature": lambda: unsigned(header()),
    "signature of zeros": lambda: changed(bytes(64), 2),
    "signature too short": lambda: changed(bytes(63), 2),
    "signature of another token": lambda: changed(signed(good(mver=4)).split(".")[2], 2),
    "claims changed": lambda: changed(good(mver=4), 1),
    "header changed": lambda: changed(header(kid="k1", typ="at+jwt", x=1), 0),
    "kid missing": lambda: signed(good(), header(kid=...)),
    "kid unknown": lambda: signed(good(), header(kid="k9")),
    "kid empty": lambda: signed(good(), header(kid="")),
    "kid is a path": lambda: signed(good(), header(kid="../../../../dev/null")),
    "kid is SQL": lambda: signed(good(), header(kid="k1' UNION SELECT 'x")),
    "kid is a list": lambda: signed(good(), header(kid=["k1"])),
    "kid is null": lambda: signed(good(), header(kid=None)),
    "jku": lambda: signed(good(), header(jku="http://evil.example/jwks.json"), OTHER),
    "jku, key known": lambda: signed(good(), header(jku="http://evil.example/jwks.json")),
    "x5u": lambda: signed(good(), header(x5u="http://evil.example/x.pem"), OTHER),
    "jwk": lambda: signed(good(), header(jwk=OTHER.as_dict(private=False)), OTHER),
    "x5c": lambda: signed(good(), header(x5c=["MII="])),
    "crit unknown": lambda: signed(good(), header(crit=["exp"], exp=1)),
    "crit b64": lambda: signed(good(), header(crit=["b64"], b64=False)),
    "zip": lambda: signed(good(), header(zip="DEF")),
    "another key of the same id": lambda: signed(good(), key=OTHER),
    "a key rotated out": lambda: signed(good(), header(kid="k0"), ROTATED_OUT),
    "typ missing": lambda: signed(good(), header(typ=...)),
    "typ JWT": lambda: signed(good(), header(typ="JWT")),
    "typ of a refresh token": lambda: signed(good(), header(typ="rt+jwt")),
    "iss of another": lambda: signed(good(iss="http://evil.example")),
    "iss with a slash": lambda: signed(good(iss=ISSUER + "/")),
    "iss missing": lambda: signed(good(iss=...)),
    "iss a list": lambda: signed(good(iss=[ISSUER])),
    "aud of another": lambda: signed(good(aud="another")),
    "aud a list": lambda: signed(good(aud=["another", "bailiwick"])),
    "aud missing": lambda: signed(good(aud=...)),
    "exp missing": lambda: signed(good(exp=...)),
    "exp a string": lambda: signed(good(exp=str(seconds(600)))),
    "exp null": lambda: signed(good(exp=None)),
    "exp true": lambda: signed(good(exp=True)),
    "exp a list": lambda: signed(good(exp=[seconds(600)])),
    "exp 61 seconds ago": lambda: signed(good(iat=seconds(-600), exp=seconds(-61))),
    "exp beyond time": lambda: signed(good(exp=10**400)),
    "exp infinite": lambda: signed(json.dumps(good(exp=float("inf"))).encode()),
    "exp not a number": lambda: signed(json.dumps(good(exp=float("nan"))).encode()),
    "exp 1e999": lambda: signed(json.dumps(good(exp=7)).replace(": 7", ": 1e999").encode()),
    "exp of 5,000 digits": lambda: signed(
        json.dumps(good(exp=7)).replace(": 7", ": " + "9" * 5000).encode()
    ),
    "lifetime of an hour": lambda: signed(good(exp=seconds(3600))),
    "expires before it is issued": lambda: signed(good(iat=seconds(30), exp=seconds(20))),
    "nbf 61 seconds ahead": lambda: signed(good(nbf=seconds(61))),
    "nbf a string": lambda: signed(good(nbf="0")),
    "iat 61 seconds ahead": lambda: signed(good(iat=seconds(61))),
    "iat missing": lambda: signed(good(iat=...)),
    "sub missing": lambda: signed(good(sub=...)),
    "org not an id": lambda: signed(good(org="o1")),
    "org in braces": lambda: signed(good(org="{" + IDS["org"] + "}")),
    "mem a number": lambda: signed(good(mem=3)),
    "mver a string": lambda: signed(good(mver="3")),
    "mver true": lambda: signed(good(mver=True)),
    "mver zero": lambda: signed(good(mver=0)),
    "mver beyond bigint": lambda: signed(good(mver=2**63)),
    "kind of another": lambda: signed(good(kind="admin")),
    "kind a list": lambda: signed(good(kind=["member"])),
    "member without session": lambda: signed(good(sid=...)),
    "repeated claim": lambda: signed(json.dumps(good())[:-1].encode() + b', "org": "x"}'),
    "repeated header": lambda: changed(
        b64(b'{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"k1"}'), 0
    ),
    "claims are a list": lambda: signed([good()]),
    "claims are not JSON": lambda: signed(b"{"),
    "claims are not UTF-8": lambda: signed(b"\xff"),
    "claims nested deep": lambda: signed(b"[" * 5000),
    "header is a list": lambda: changed([header()], 0),
    "header is not base64": lambda: changed("a", 0),
    "two parts": lambda: ".".join(signed(good()).split(".")[:2]),
    "four parts": lambda: signed(good()) + ".x",
    "five parts, encrypted": lambda: "a.b.c.d.e",
    "empty": lambda: "",
    "dots": lambda: "..",
    "white space": lambda: signed(good()) + "\n",
    "not ASCII": lambda: signed(good())[:-1] + "é",
    "NUL": lambda: "\x00",
    "a lone surrogate": lambda: "\ud800",
    "over 8 KB": lambda: signed(good(x="x" * 8192)),
    "a megabyte": lambda: "a" * 1_000_000,
    "a megabyte of dots": lambda: "." * 1_000_000,
}


@pytest.mark.parametrize("make", FORGED.values(), ids=FORGED.keys())
async def test_a_forged_token_is_unauthenticated(make: Callable[[], str]) -> None:
    token = make()
    with pytest.raises(TokenInvalid) as refused:
        await verifier().verify(token)
    assert isinstance(refused.value, Unauthenticated)
    assert not refused.value.detail
    assert not refused.value.facts


def test_the_helper_that_forges_can_also_sign_well() -> None:
    assert jws.deserialize_compact(signed(good()), KEY, algorithms=["ES256"])


def test_no_more_leeway_than_a_minute_can_be_asked_for() -> None:
    with pytest.raises(ValueError, match="at most 60"):
        verifier(leeway=61)


@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer ", "Basic abc", "abc", "\x00"])
def test_no_bearer_token_is_unauthenticated(value: str | None) -> None:
    with pytest.raises(Unauthenticated):
        bearer_token(value)


def test_the_scheme_is_read_in_any_case() -> None:
    assert bearer_token("bearer  abc ") == "abc"
