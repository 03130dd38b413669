"""Deletes what is kept for a while only: sent outbox rows, inbox rows, idempotency keys (D19, D23)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from bailiwick_kit.database import Database
from bailiwick_kit.idempotency import IdempotencyKeys

log = structlog.get_logger(__name__)

EVERY = 3600.0
"""Seconds between rounds."""
AT_ONCE = 5000
"""Rows deleted in one transaction, so that a long backlog is no statement that times out."""
SENT_KEPT = timedelta(days=14)
INBOX_KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Housekeeping:
    """Tidies one service's database, from its worker; a service names the tables that it has."""

    database: Database
    outbox: sa.Table | None = None
    keys: IdempotencyKeys | None = None
    inbox: sa.Table | None = None

    async def run(self) -> None:
        """Tidy every hour until cancelled."""
        while True:
            await self.tidy()
            await asyncio.sleep(EVERY)

    async def tidy(self) -> None:
        """Delete what is past its time, each kind on its own and a bounded number at a time."""
        for kind in (self._tidy_keys, self._tidy_outbox, self._tidy_inbox):
            try:
                await kind(datetime.now(UTC))
            except Exception:  # the next round may do better
                log.exception("housekeeping.failed")

    async def _tidy_keys(self, now: datetime) -> None:
        deleted = AT_ONCE
        while self.keys is not None and deleted == AT_ONCE:
            async with self.database.writing(None) as connection:
                deleted = await self.keys.expire(connection, now=now, most=AT_ONCE)

    async def _tidy_outbox(self, now: datetime) -> None:
        if self.outbox is not None:
            sent_at = self.outbox.c.sent_at
            await self._delete(self.outbox, self.outbox.c.position, sent_at < now - SENT_KEPT)

    async def _tidy_inbox(self, now: datetime) -> None:
        if self.inbox is not None:
            # What had its effect late, replayed from the dead letters, is kept from then on.
            last = sa.func.coalesce(self.inbox.c.done_at, self.inbox.c.arrived_at)
            arrived = self.inbox.c.arrived_at < now - INBOX_KEPT
            past = arrived & (last < now - INBOX_KEPT)
            await self._delete(self.inbox, self.inbox.c.event_id, past)

    async def _delete(
        self, table: sa.Table, key: sa.Column[Any], past: sa.ColumnElement[bool]
    ) -> None:
        some = table.delete().where(key.in_(sa.select(key).where(past).limit(AT_ONCE)))
        deleted = AT_ONCE
        while deleted == AT_ONCE:
            async with self.database.writing(None) as connection:
                deleted = (await connection.execute(some)).rowcount
