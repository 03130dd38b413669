"""What notifier hears of orders: that one came in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.catalogue import queue_name
from bailiwick_contracts.envelope import Event
from bailiwick_contracts.orders import OrderPlaced
from bailiwick_kit.consumer import Consumer
from bailiwick_kit.database import Database

QUEUE = queue_name("notifier", "orders")

Take = Callable[[AsyncConnection, OrderPlaced, UUID], Awaitable[None]]
"""Keeps an order that came in, in the open transaction."""


def from_orders(database: Database, broker_url: str, inbox: sa.Table, take: Take) -> Consumer:
    """Return the consumer of new orders. An import is none (domain §2)."""

    async def placed(connection: AsyncConnection, event: Event, event_id: UUID) -> None:
        assert isinstance(event, OrderPlaced)  # noqa: S101  # the mapping below holds it
        if not event.imported:
            await take(connection, event, event_id)

    return Consumer(
        queue=QUEUE,
        broker_url=broker_url,
        database=database,
        inbox=inbox,
        handlers={},
        keyed={OrderPlaced: placed},
    )
