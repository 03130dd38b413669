"""The consumer that keeps a service's replica of what an authority tells: the same in every service."""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_contracts.catalogue import SUBSCRIBED, queue_name
from bailiwick_kit.bus.consumer import Consumer
from bailiwick_kit.replication.replica import Replica


def keeping(service: str, replica: Replica, broker_url: str, inbox: sa.Table) -> Consumer:
    """Return the consumer of all that a service hears of the replica's authority; gaps are pulled beside."""
    return Consumer(
        queue=queue_name(service, replica.source),
        broker_url=broker_url,
        database=replica.database,
        inbox=inbox,
        handlers=dict.fromkeys(SUBSCRIBED[service][replica.source], replica.receive),
    )
