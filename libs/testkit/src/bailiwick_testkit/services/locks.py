"""Rows that are locked for a while, so that a request has to wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa

from bailiwick_testkit.services.service_under_test import ServiceUnderTest
from bailiwick_testkit.waiting import until

_WAITING = sa.text(
    "SELECT count(*) FROM pg_locks"
    " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
)


@dataclass
class HeldUp:
    """A row that is kept from others for a while: what somebody who waits for it finds out."""

    awaited: asyncio.Event = field(default_factory=asyncio.Event)
    released_at: datetime | None = None


@asynccontextmanager
async def held_up(shop: ServiceUnderTest, table: str, customer_id: str) -> AsyncIterator[HeldUp]:
    """Keep the customer's row, or the organization's count of changes, for 1.6 s once somebody waits."""
    locked = shop.tables.metadata.tables[table]
    row = sa.select(sa.literal(1)).select_from(locked).where(locked.c.org_id == shop.org_id)
    if table == "customers":
        row = row.where(locked.c.customer_id == UUID(customer_id))
    held, got = HeldUp(), asyncio.Event()

    async def keep() -> None:
        async with shop.database.writing(shop.org_id) as connection:
            await connection.execute(row.with_for_update())
            got.set()

            async def somebody_waits() -> bool:
                return bool(await connection.scalar(_WAITING))

            await until(somebody_waits)
            held.awaited.set()
            await asyncio.sleep(1.6)
            held.released_at = datetime.now(UTC)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep())
        await got.wait()
        yield held
