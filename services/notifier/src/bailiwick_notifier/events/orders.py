"""What notifier hears of orders: that one came in, and how it stands after each change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.catalogue import SUBSCRIBED, queue_name
from bailiwick_contracts.orders import OrderPlaced
from bailiwick_kit.bus.consumer import Consumer
from bailiwick_kit.bus.handling import Received
from bailiwick_kit.database.engine import Database

QUEUE = queue_name("notifier", "orders")

Keep = Callable[[AsyncConnection, Sequence[Received]], Awaitable[None]]
"""Keeps orders in the open transaction."""


def from_orders(
    database: Database, broker_url: str, inbox: sa.Table, *, take: Keep, keep: Keep
) -> Consumer:
    """Return the consumer of orders: `take` keeps new ones, `keep` what they have become.

    An import is no new order (domain §2), and a draft is none yet.
    """

    async def placed(connection: AsyncConnection, received: Sequence[Received]) -> None:
        if new := _not_imported(received):
            await take(connection, new)

    async def changed(connection: AsyncConnection, received: Sequence[Received]) -> None:
        placed_before = [
            one for one in _not_imported(received) if getattr(one.event, "placed_at", None)
        ]
        if placed_before:
            await keep(connection, placed_before)

    return Consumer(
        queue=QUEUE,
        broker_url=broker_url,
        database=database,
        inbox=inbox,
        handlers={
            **dict.fromkeys(SUBSCRIBED["notifier"]["orders"], changed),
            OrderPlaced: placed,
        },
    )


def _not_imported(received: Sequence[Received]) -> list[Received]:
    return [one for one in received if not getattr(one.event, "imported", False)]
