"""What notifier hears of orders: that one came in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.catalogue import queue_name
from bailiwick_contracts.orders import OrderPlaced
from bailiwick_kit.consumer import Consumer
from bailiwick_kit.database import Database
from bailiwick_kit.handling import Received

QUEUE = queue_name("notifier", "orders")

Take = Callable[[AsyncConnection, Sequence[Received]], Awaitable[None]]
"""Keeps orders that came in, in the open transaction."""


def from_orders(database: Database, broker_url: str, inbox: sa.Table, take: Take) -> Consumer:
    """Return the consumer of new orders. An import is none (domain §2)."""

    async def placed(connection: AsyncConnection, received: Sequence[Received]) -> None:
        new = [one for one in received if not getattr(one.event, "imported", False)]
        if new:
            await take(connection, new)

    return Consumer(
        queue=QUEUE,
        broker_url=broker_url,
        database=database,
        inbox=inbox,
        handlers={OrderPlaced: placed},
    )
