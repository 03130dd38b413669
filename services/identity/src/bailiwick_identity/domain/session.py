"""Sessions and their refresh tokens (S7, RFC 9700): rotated at each use, and what a second use means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

LIFETIME = timedelta(days=30)
"""A session ends then, however often it was refreshed."""
GRACE = timedelta(seconds=10)
"""Within this a used refresh token gives the same successor again: for parallel uses and lost answers."""


class Use(StrEnum):
    """What presenting a refresh token amounts to."""

    FIRST = "first"
    REPEATED = "repeated"
    REUSED = "reused"
    OVER = "over"


@dataclass(frozen=True)
class Session:
    """That somebody has signed in, as one membership."""

    session_id: UUID
    account_id: UUID
    org_id: UUID
    member_id: UUID
    began_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None

    def use(self, rotated_at: datetime | None, now: datetime) -> Use:
        """Tell what presenting a token of this session means; `rotated_at` is its earlier use."""
        if self.ended_at is not None or now >= self.expires_at:
            return Use.OVER
        if rotated_at is None:
            return Use.FIRST
        return Use.REPEATED if now - rotated_at <= GRACE else Use.REUSED
