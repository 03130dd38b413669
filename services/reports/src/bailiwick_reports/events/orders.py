"""What reports hears of orders: each as it stands, whatever happened to it, snapshots included (D19)."""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_contracts.catalogue import SUBSCRIBED, queue_name
from bailiwick_kit.consumer import Consumer
from bailiwick_kit.database import Database
from bailiwick_kit.handling import SingleHandler, one_by_one

QUEUE = queue_name("reports", "orders")


def from_orders(
    count: SingleHandler, database: Database, broker_url: str, inbox: sa.Table
) -> Consumer:
    """Return the consumer that has every order counted by its latest event.

    Nothing is asked of orders before an event: it tells the whole order, and the highest version counts.
    """
    return Consumer(
        queue=QUEUE,
        broker_url=broker_url,
        database=database,
        inbox=inbox,
        handlers=dict.fromkeys(SUBSCRIBED["reports"]["orders"], one_by_one(count)),
    )
