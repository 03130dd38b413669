"""The keys that access tokens are signed with: a file of private ES256 keys, never the database.

The first key signs; all are published, so that tokens of the one before stay good while keys rotate:
add the new key at the end, let every service fetch it, move it to the front, later remove the old one.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from bailiwick_identity.domain.account import Membership
from bailiwick_kit.tokens.access_tokens import ALGORITHM, AUDIENCE, MAX_LIFETIME, TOKEN_TYPE

DEVICE_LIFETIME = timedelta(days=180)
"""So long a device is known after a sign-in."""
_DEVICES = "devices"
_NONCE = 16
_EXPIRES = 8


class SigningKeysError(Exception):
    """The file of signing keys cannot be used; the message says why and shows no key."""


class SigningKeys:
    """Private keys, of which the first signs."""

    def __init__(self, keys: Sequence[ECKey], issuer: str) -> None:
        self._keys = tuple(keys)
        self._issuer = issuer

    @classmethod
    def load(cls, path: Path, issuer: str) -> SigningKeys:
        """Read a JWKS file.

        Raises:
            SigningKeysError: there is no such file, or not what it should be.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            keys = [_private(entry) for entry in document["keys"]]
        except (OSError, ValueError, KeyError, TypeError, JoseError) as error:
            message = (
                f"BAILIWICK_SIGNING_KEYS is no JWKS of private ES256 keys: {type(error).__name__}"
            )
            raise SigningKeysError(message) from None
        if not keys or len({key.kid for key in keys}) != len(keys):
            message = "BAILIWICK_SIGNING_KEYS needs at least one key, each with a kid of its own"
            raise SigningKeysError(message)
        return cls(keys, issuer)

    @property
    def public(self) -> tuple[ECKey, ...]:
        """The public halves, for verifying."""
        return tuple(ECKey.import_key(entry) for entry in self.published()["keys"])

    def published(self) -> dict[str, list[dict[str, Any]]]:
        """Return the public JWKS."""
        return {
            "keys": [
                {**key.as_dict(private=False), "kid": key.kid, "use": "sig", "alg": ALGORITHM}
                for key in self._keys
            ]
        }

    def access(
        self, membership: Membership, *, session_id: UUID | None, now: datetime
    ) -> tuple[str, int]:
        """Return an access token (D2) and how many seconds it is good for.

        It says who calls and nothing of what they may do. A service account is its own subject.
        """
        issued = int(now.timestamp())
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": str(membership.account_id or membership.member_id),
            "org": str(membership.org_id),
            "mem": str(membership.member_id),
            "mver": membership.version,
            "kind": membership.kind.value,
            "iat": issued,
            "exp": issued + MAX_LIFETIME,
        }
        if session_id is not None:
            claims["sid"] = str(session_id)
        key = self._keys[0]
        header = {"alg": ALGORITHM, "typ": TOKEN_TYPE, "kid": str(key.kid)}
        return jwt.encode(header, claims, key), MAX_LIFETIME

    def successor(self, refresh_token: str) -> str:
        """Return the refresh token that follows: always the same one, and nobody else can tell which.

        So a lost answer can be asked for again without any token being kept (S7).
        """
        digest = hmac.digest(self.derived("refresh tokens"), refresh_token.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def device_token(self, email: str, now: datetime) -> str:
        """Return what a device shows at its next sign-in to this account (ADR 21)."""
        expires = int((now + DEVICE_LIFETIME).timestamp())
        told = secrets.token_bytes(_NONCE) + expires.to_bytes(_EXPIRES, "big")
        proof = _proof(_derived(self._keys[0], _DEVICES), email, told)
        return base64.urlsafe_b64encode(told + proof).decode()

    def device(self, email: str, device_token: str, now: datetime) -> bytes | None:
        """Return which device shows this, None where it is not of ours, of this account, or too old."""
        try:
            read = base64.b64decode(device_token.encode("ascii"), b"-_", validate=True)
        except (ValueError, UnicodeError):
            return None
        told, proof = read[: _NONCE + _EXPIRES], read[_NONCE + _EXPIRES :]
        for key in self._keys:
            if hmac.compare_digest(proof, _proof(_derived(key, _DEVICES), email, told)):
                is_over = int.from_bytes(told[_NONCE:], "big") <= now.timestamp()
                return None if is_over else told[:_NONCE]
        return None

    def derived(self, purpose: str) -> bytes:
        """Return a secret for another purpose, from the signing key: it is identity's alone."""
        return _derived(self._keys[0], purpose)


def _derived(key: ECKey, purpose: str) -> bytes:
    private = str(key.as_dict(private=True)["d"])
    return hmac.digest(private.encode(), f"bailiwick identity: {purpose}".encode(), "sha256")


def _proof(secret: bytes, email: str, told: bytes) -> bytes:
    return hmac.digest(secret, told + email.encode(), "sha256")


def _private(entry: Any) -> ECKey:
    key = ECKey.import_key(entry)
    if entry.get("crv") != "P-256" or not key.is_private or not isinstance(entry.get("kid"), str):
        msg = "not a private P-256 key with a kid"
        raise ValueError(msg)
    return key
