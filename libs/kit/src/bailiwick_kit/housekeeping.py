"""Deletes what is kept for a while only: sent outbox rows, inbox rows, idempotency keys (D19, D23)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog

from bailiwick_kit.database import Database
from bailiwick_kit.idempotency import IdempotencyKeys

log = structlog.get_logger(__name__)

EVERY = 3600.0
"""Seconds between rounds."""
SENT_KEPT = timedelta(days=14)
INBOX_KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Housekeeping:
    """Tidies one service's database, from its worker."""

    database: Database
    outbox: sa.Table
    keys: IdempotencyKeys
    inbox: sa.Table | None = None

    async def run(self) -> None:
        """Tidy every hour until cancelled."""
        while True:
            try:
                await self.tidy()
            except Exception:  # the next round may do better
                log.exception("housekeeping.failed")
            await asyncio.sleep(EVERY)

    async def tidy(self) -> None:
        """Delete what is past its time."""
        async with self.database.writing(None) as connection:
            sent = self.outbox.c.sent_at < sa.func.now() - SENT_KEPT
            await connection.execute(self.outbox.delete().where(sent))
            await self.keys.expire(connection, now=datetime.now(UTC))
            if self.inbox is not None:
                arrived = self.inbox.c.arrived_at < sa.func.now() - INBOX_KEPT
                done = self.inbox.c.done_at.is_not(None)
                await connection.execute(self.inbox.delete().where(arrived, done))
