"""Deletes sessions that are over and counts of failed sign-ins that are old."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog

from bailiwick_identity.domain.account import WINDOW
from bailiwick_identity.domain.session import LIFETIME
from bailiwick_identity.store import tables
from bailiwick_kit.clock import SystemClock
from bailiwick_kit.database.engine import Database
from bailiwick_kit.process.housekeeping import delete_past

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
            await self.tidy(SystemClock().now())
            await asyncio.sleep(EVERY)

    async def tidy(self, now: datetime) -> None:
        """Delete what is past its time, each kind on its own and a bounded number at a time."""
        for table, past in kinds(now):
            try:
                await delete_past(self.database, table, past)
            except Exception:  # the next round may do better
                log.exception("session-expiry.failed", kind=table.name)


def kinds(now: datetime) -> Iterator[tuple[sa.Table, sa.ColumnElement[bool]]]:
    """Return the tables that have rows for a while only, with what is past its time."""
    attempts, tokens, sessions = tables.sign_in_attempts, tables.refresh_tokens, tables.sessions
    yield attempts, attempts.c.since < now - WINDOW
    # No token outlives its session, which lives so long at most.
    yield tokens, tokens.c.issued_at < now - LIFETIME - KEPT
    yield sessions, sessions.c.expires_at < now - KEPT
