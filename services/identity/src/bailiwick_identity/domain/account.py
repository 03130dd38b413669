"""Accounts: what people sign in with, across organizations."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from bailiwick_identity.domain.member import Kind, Status

WINDOW = timedelta(minutes=15)
"""So long a try to sign in counts against the next ones (ADR 21)."""

Attempts: TypeAlias = Mapping[bytes, tuple[int, datetime]]
"""Tries to sign in, by what they are counted for: how many, and since when."""


@dataclass(frozen=True)
class Account:
    """What a person signs in with."""

    account_id: UUID
    password_hash: str = field(repr=False)


@dataclass(frozen=True)
class Membership:
    """One of an account's memberships, as sign-in sees it: across organizations."""

    org_id: UUID
    member_id: UUID
    account_id: UUID | None
    kind: Kind
    status: Status
    valid_from: datetime
    valid_until: datetime
    version: int
    organization: str

    def closed_because(self, now: datetime) -> str | None:
        """Return why nobody signs in as this membership, None where they may."""
        if self.status is Status.INACTIVE:
            return "account-inactive"
        if not self.valid_from <= now < self.valid_until:
            return "membership-expired"
        return None


@dataclass(frozen=True)
class Issued:
    """What the token endpoint gives out. Service accounts get no refresh token (RFC 6749 §4.4.3)."""

    access_token: str
    expires_in: int
    refresh_token: str | None = None
    device_token: str | None = None


def secret_digest(secret: str) -> bytes:
    """Return what is kept of a secret: a plain hash, because 256 random bits need no slow one."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
