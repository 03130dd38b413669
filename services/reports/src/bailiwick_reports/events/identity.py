"""What reports hears of identity: who the members are, and how their organizations work."""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_contracts.catalogue import SUBSCRIBED, queue_name
from bailiwick_kit.consumer import Consumer
from bailiwick_kit.replica import Replica

QUEUE = queue_name("reports", "identity")


def from_identity(replica: Replica, broker_url: str, inbox: sa.Table) -> Consumer:
    """Return the consumer that keeps the replica of identity."""
    return Consumer(
        queue=QUEUE,
        broker_url=broker_url,
        database=replica.database,
        inbox=inbox,
        handlers=dict.fromkeys(SUBSCRIBED["reports"]["identity"], replica.receive),
        before=replica.repair,
    )
