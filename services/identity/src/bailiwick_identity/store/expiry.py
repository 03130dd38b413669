"""Deletes sessions that are over and counts of failed sign-ins that are old."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bailiwick_identity.actions.throttle import WINDOW
from bailiwick_identity.domain.session import LIFETIME
from bailiwick_identity.store import tables
from bailiwick_kit.clock import SystemClock
from bailiwick_kit.database import Database

EVERY = 3600.0
"""Seconds between rounds."""
KEPT = timedelta(days=7)
"""For so long a session that is over still says why a token is refused."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class SessionExpiry:
    """Tidies what only identity has, from its worker."""

    database: Database

    async def run(self) -> None:
        """Tidy every hour until cancelled."""
        while True:
            try:
                await self.tidy(SystemClock().now())
            except Exception:  # the next round may do better
                log.exception("session-expiry.failed")
            await asyncio.sleep(EVERY)

    async def tidy(self, now: datetime) -> None:
        """Delete what is past its time."""
        sessions, tokens = tables.sessions, tables.refresh_tokens
        attempts = tables.sign_in_attempts
        async with self.database.writing(None) as connection:
            # No token outlives its session, which lives so long at most.
            await connection.execute(
                tokens.delete().where(tokens.c.issued_at < now - LIFETIME - KEPT)
            )
            await connection.execute(sessions.delete().where(sessions.c.expires_at < now - KEPT))
            await connection.execute(attempts.delete().where(attempts.c.since < now - WINDOW))
