"""What an operator does with events that the broker took back: list, show, replay, drop (ADR 16)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from bailiwick_kit.bus.outbox_notify import plain_dsn

LISTED: Final = 1000
"""How many events one command lists."""
_AT_ONCE: Final = 5000
"""Rows that one statement changes: a hundred thousand are no statement that times out."""

_FAILED = "sent_at IS NULL AND retry_at IS NOT NULL"
_CHOSEN = f"""
    {_FAILED} AND ($1::uuid IS NULL OR event_id = $1) AND ($2::text IS NULL OR recipient = $2)
"""
_COLUMNS = "event_id, type, subject, recipient, attempts, error, parked_at, body"
_LIST = f"SELECT {_COLUMNS} FROM outbox WHERE {_CHOSEN} ORDER BY position LIMIT $3"  # noqa: S608
_COUNT = f"SELECT count(*) FROM outbox WHERE {_CHOSEN}"  # noqa: S608
_SOME = f"SELECT position FROM outbox WHERE {_CHOSEN} ORDER BY position LIMIT {_AT_ONCE}"  # noqa: S608
_REPLAY = f"""
    UPDATE outbox SET retry_at = NULL, parked_at = NULL, attempts = 0, error = NULL
    WHERE position IN ({_SOME})
"""  # noqa: S608
_DROP = f"DELETE FROM outbox WHERE position IN ({_SOME})"  # noqa: S608


@dataclass(frozen=True)
class Undelivered:
    """An event that could not be sent, and why. One that is not parked is still tried, now and then."""

    event_id: UUID
    type: str
    subject: UUID
    recipient: str | None
    attempts: int
    error: str
    is_parked: bool
    body: bytes


@dataclass(frozen=True)
class Chosen:
    """Which events: one, those to one queue, or all."""

    event_id: UUID | None = None
    recipient: str | None = None


@dataclass(frozen=True)
class UndeliveredEvents:
    """The events of one outbox that could not be sent, as its worker sees them."""

    database_url: str

    async def list(self, chosen: Chosen) -> tuple[list[Undelivered], int]:
        """Return the oldest of them, and how many there are."""
        async with self._connected() as connection:
            rows = await connection.fetch(_LIST, chosen.event_id, chosen.recipient, LISTED)
            count = len(rows)
            if count == LISTED:
                count = await connection.fetchval(_COUNT, chosen.event_id, chosen.recipient)
        return [_undelivered(row) for row in rows], count

    async def replay(self, chosen: Chosen) -> int:
        """Have them sent as if they had never been tried; return how many."""
        return await self._piece_by_piece(_REPLAY, chosen)

    async def drop(self, chosen: Chosen) -> int:
        """Delete them for good; return how many."""
        return await self._piece_by_piece(_DROP, chosen)

    async def _piece_by_piece(self, statement: str, chosen: Chosen) -> int:
        count = 0
        async with self._connected() as connection:
            while True:
                done = await connection.execute(statement, chosen.event_id, chosen.recipient)
                changed = int(done.rpartition(" ")[2])
                count += changed
                if changed < _AT_ONCE:
                    return count

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(
            plain_dsn(self.database_url), timeout=5, command_timeout=60
        )
        try:
            yield connection
        finally:
            await connection.close(timeout=5)


def _undelivered(row: asyncpg.Record) -> Undelivered:
    return Undelivered(
        event_id=row["event_id"],
        type=row["type"],
        subject=row["subject"],
        recipient=row["recipient"],
        attempts=row["attempts"],
        error=row["error"],
        is_parked=row["parked_at"] is not None,
        body=row["body"],
    )
