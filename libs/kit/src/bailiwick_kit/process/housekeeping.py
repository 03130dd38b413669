"""Deletes what is kept for a while only: sent outbox rows, inbox rows, idempotency keys (D19, D23)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog

from bailiwick_kit.database.engine import Database
from bailiwick_kit.web.idempotency import KEPT as KEYS_KEPT

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
    keys: sa.Table | None = None
    inbox: sa.Table | None = None

    async def run(self) -> None:
        """Tidy every hour until cancelled."""
        while True:
            await self.tidy()
            await asyncio.sleep(EVERY)

    async def tidy(self) -> None:
        """Delete what is past its time, each kind on its own and a bounded number at a time."""
        for table, past in self._kinds(datetime.now(UTC)):
            try:
                await delete_past(self.database, table, past)
            except Exception:  # the next round may do better
                log.exception("housekeeping.failed", kind=table.name)

    def _kinds(self, now: datetime) -> Iterator[tuple[sa.Table, sa.ColumnElement[bool]]]:
        if self.keys is not None:
            yield self.keys, self.keys.c.created_at < now - KEYS_KEPT
        if self.outbox is not None:
            yield self.outbox, self.outbox.c.sent_at < now - SENT_KEPT
        if self.inbox is not None:
            # What had its effect late, replayed from the dead letters, is kept from then on.
            last = sa.func.coalesce(self.inbox.c.done_at, self.inbox.c.arrived_at)
            arrived = self.inbox.c.arrived_at < now - INBOX_KEPT
            yield self.inbox, arrived & (last < now - INBOX_KEPT)


async def delete_past(database: Database, table: sa.Table, past: sa.ColumnElement[bool]) -> None:
    """Delete the rows that are past their time, a bounded number in each transaction."""
    deleted = AT_ONCE
    while deleted == AT_ONCE:
        async with database.writing(None) as connection:
            deleted = (await connection.execute(deletion(table, past))).rowcount


def deletion(table: sa.Table, past: sa.ColumnElement[bool]) -> sa.Delete:
    """Return what deletes some rows that are past their time; an index on that time serves it.

    By where they lie (ctid): told by their keys, PostgreSQL reads the whole table for each piece
    where many rows are past their time.
    """
    place: sa.ColumnClause[object] = sa.literal_column("ctid")
    some = sa.select(place).select_from(table).where(past).limit(AT_ONCE)
    # Twice, because a row that is used anew meanwhile is past its time no more.
    return table.delete().where(place == sa.func.any(sa.func.array(some.scalar_subquery())), past)
