"""Tells the present state of all orders again, to one consumer that rebuilds (D19)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_kit.clock import Clock
from bailiwick_kit.database.engine import Database
from bailiwick_orders.domain.change import Change, Happening
from bailiwick_orders.domain.order import Order
from bailiwick_orders.store.representation import representations
from bailiwick_orders.store.rows import to_order
from bailiwick_orders.store.statements import outbox_row
from bailiwick_orders.store.tables import orders, outbox

BATCH = 500
"""Orders a transaction."""
_FIRST = UUID(int=0)

_NEXT = (
    sa.select(orders)
    .where(
        orders.c.org_id == sa.bindparam("org_id", type_=sa.Uuid),
        orders.c.order_id > sa.bindparam("after", type_=sa.Uuid),
    )
    .order_by(orders.c.order_id)
    .limit(BATCH)
)


class Snapshots:
    """Puts snapshots into the outbox, as the worker; the relay sends them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def republish(self, org_id: UUID, recipient: str) -> int:
        """Tell every order of the organization to one queue; return how many.

        Versions stay, event ids are new. An order that changes meanwhile is told by its own event, with
        a higher version, whichever arrives first.
        """
        count, after = 0, _FIRST
        while True:
            async with self._database.writing(org_id) as connection:
                found = await connection.execute(_NEXT, {"org_id": org_id, "after": after})
                batch = [to_order(row) for row in found.mappings()]
                await _tell(connection, org_id, batch, recipient, self._clock.now())
            count += len(batch)
            if len(batch) < BATCH:
                return count
            after = batch[-1].order_id


async def _tell(
    connection: AsyncConnection, org_id: UUID, batch: list[Order], recipient: str, now: datetime
) -> None:
    ids = list({order.customer_id for order in batch})
    represented = await representations(connection, org_id, ids, now)
    rows = [
        outbox_row(
            order,
            Change(Happening.SNAPSHOT, order.author_id, now, represented[order.customer_id]),
            recipient,
            bulk=True,
        )
        for order in batch
    ]
    if rows:
        await connection.execute(outbox.insert().inline(), rows)
