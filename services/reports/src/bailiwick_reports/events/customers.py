"""What reports hears of customers: who they are, and whose portfolio they are in."""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_contracts.catalogue import SUBSCRIBED, queue_name
from bailiwick_kit.consumer import Consumer
from bailiwick_kit.replica import Replica

QUEUE = queue_name("reports", "customers")


def from_customers(replica: Replica, broker_url: str, inbox: sa.Table) -> Consumer:
    """Return the consumer that keeps the replica of customers and their assignments."""
    return Consumer(
        queue=QUEUE,
        broker_url=broker_url,
        database=replica.database,
        inbox=inbox,
        handlers=dict.fromkeys(SUBSCRIBED["reports"]["customers"], replica.receive),
        before=replica.repair,
    )
