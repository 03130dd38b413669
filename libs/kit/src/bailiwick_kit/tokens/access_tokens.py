"""Verifies access tokens (D2): who calls, not what they may do.

One algorithm, one type, one audience, one issuer; everything else, however broken, is
Unauthenticated and never an error of ours (S6, RFC 8725, RFC 9068).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn
from uuid import UUID

from joserfc import jws
from joserfc.errors import JoseError

from bailiwick_kit.clock import Clock
from bailiwick_kit.errors import Unauthenticated
from bailiwick_kit.tokens.jwks import Keys

AUDIENCE = "bailiwick"
ALGORITHM = "ES256"
TOKEN_TYPE = "at+jwt"  # noqa: S105
MAX_LIFETIME = 600
MAX_LEEWAY = 60

_MOST_BYTES = 8192
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_HEADER = frozenset({"alg", "typ", "kid"})
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_LAST_SECOND = 253402300799
_LARGEST_VERSION = 2**63


class TokenInvalid(Unauthenticated):
    """The access token is missing, broken, forged, expired or not meant for us."""

    code = "token-invalid"
    title = "The access token is not valid"


@dataclass(frozen=True)
class Claims:
    """What a verified token says. `account` of a service account is its membership (D2)."""

    account: UUID
    org_id: UUID
    member_id: UUID
    member_version: int
    kind: Literal["member", "service"]
    session: UUID | None
    expires_at: datetime


def bearer_token(authorization: str | None) -> str:
    """Return the token of an Authorization header.

    Raises:
        Unauthenticated: there is none.
    """
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated
    return token.strip()


class TokenVerifier:
    """Verifies tokens of one issuer. `leeway` is for clocks that differ, at most a minute (F22)."""

    def __init__(self, keys: Keys, *, issuer: str, clock: Clock, leeway: int = MAX_LEEWAY) -> None:
        if not 0 <= leeway <= MAX_LEEWAY:
            msg = f"leeway is at most {MAX_LEEWAY} seconds"
            raise ValueError(msg)
        self._keys = keys
        self._issuer = issuer
        self._clock = clock
        self._leeway = leeway

    async def verify(self, token: str) -> Claims:
        """Return what the token says.

        Raises:
            TokenInvalid: whatever is wrong with it; the answer does not say what.
            Unavailable: the keys cannot be fetched.
        """
        try:
            if len(token) > _MOST_BYTES or not _COMPACT.fullmatch(token):
                _refuse("shape")
            key = await self._keys.key(_key_id(_part(token, 0)))
            if key is None:
                _refuse("unknown key")
            jws.deserialize_compact(token, key, algorithms=[ALGORITHM])
            return self._claims(_part(token, 1))
        except (JoseError, ValueError, TypeError, KeyError, RecursionError, OverflowError):
            raise TokenInvalid from None

    def _claims(self, claims: Mapping[str, Any]) -> Claims:
        if claims["iss"] != self._issuer or claims["aud"] != AUDIENCE:
            _refuse("issuer or audience")
        now = self._clock.now().timestamp()
        expires, issued = _seconds(claims["exp"]), _seconds(claims["iat"])
        not_before = _seconds(claims.get("nbf", claims["iat"]))
        if now >= expires + self._leeway or now < max(issued, not_before) - self._leeway:
            _refuse("time")
        if not 0 < expires - issued <= MAX_LIFETIME:
            _refuse("lifetime")
        kind = claims["kind"]
        if kind not in ("member", "service"):
            _refuse("kind")
        if "sid" not in claims and kind == "member":
            _refuse("session")
        return Claims(
            account=_uuid(claims["sub"]),
            org_id=_uuid(claims["org"]),
            member_id=_uuid(claims["mem"]),
            member_version=_version(claims["mver"]),
            kind=kind,
            session=_uuid(claims["sid"]) if "sid" in claims else None,
            expires_at=datetime.fromtimestamp(expires, UTC),
        )


def _refuse(why: str) -> NoReturn:
    raise ValueError(why)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two parsers that disagree on a repeated key are how a forged claim gets through.
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("repeated key")
    return found


def _part(token: str, index: int) -> dict[str, Any]:
    text = token.split(".")[index]
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        _refuse("base64")
    part = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    if not isinstance(part, dict):
        _refuse("not an object")
    return part


def _key_id(header: Mapping[str, Any]) -> str:
    # crit, jku, jwk, x5u, x5c, b64, cty, zip: nothing that could change how it is verified.
    if header.keys() != _HEADER:
        _refuse("header")
    if header["alg"] != ALGORITHM or header["typ"] != TOKEN_TYPE:
        _refuse("algorithm or type")
    key_id = header["kid"]
    if not isinstance(key_id, str):
        _refuse("key id")
    return key_id


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse("not a number")
    if not 0 <= value <= _LAST_SECOND:
        _refuse("out of range")
    return float(value)


def _uuid(value: Any) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        _refuse("not an id")
    return UUID(value)


def _version(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < _LARGEST_VERSION:
        _refuse("not a version")
    return value
