"""What reports hears of orders: each as it stands, whatever happened to it, snapshots included (D19)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.catalogue import SUBSCRIBED, queue_name
from bailiwick_contracts.orders import OrderEvent
from bailiwick_kit.bus.consumer import Consumer
from bailiwick_kit.bus.handling import Received
from bailiwick_kit.database.engine import Database

QUEUE = queue_name("reports", "orders")

Count: TypeAlias = Callable[[AsyncConnection, Sequence[OrderEvent]], Awaitable[None]]
"""Counts orders of one organization in the open transaction."""


def from_orders(count: Count, database: Database, broker_url: str, inbox: sa.Table) -> Consumer:
    """Return the consumer that has every order counted by its latest event.

    Nothing is asked of orders before an event: it tells the whole order, and the highest version counts.
    """

    async def handle(connection: AsyncConnection, received: Sequence[Received]) -> None:
        told = [one.event for one in received]
        await count(connection, [one for one in told if isinstance(one, OrderEvent)])

    return Consumer(
        queue=QUEUE,
        broker_url=broker_url,
        database=database,
        inbox=inbox,
        handlers=dict.fromkeys(SUBSCRIBED["reports"]["orders"], handle),
    )
