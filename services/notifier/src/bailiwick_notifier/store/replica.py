"""Keeps the replica of assignments. Of customers only their names are kept, while mails need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.assignments import write_assignments
from bailiwick_contracts.customers import AssignmentChanged, CustomerChanged
from bailiwick_contracts.envelope import Event
from bailiwick_kit.clock import Clock
from bailiwick_kit.replication.replica import Applier
from bailiwick_notifier.store.tables import assignments, customer_names


class CustomersReplica:
    """What notifier remembers of customers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def appliers(self) -> Mapping[type[Event], Applier]:
        """Return what writes each of customers' events."""
        return {CustomerChanged: self._names, AssignmentChanged: self._assignments}

    async def _names(self, connection: AsyncConnection, events: Sequence[CustomerChanged]) -> None:
        """Write their names, whether or not an order of theirs has come in: it may come later."""
        now, new = self._clock.now(), insert(customer_names)
        rows = [
            {**one.model_dump(include={"org_id", "customer_id", "name", "seq"}), "heard_at": now}
            for one in events
        ]
        statement = new.on_conflict_do_update(
            index_elements=list(customer_names.primary_key.columns),
            set_={name: new.excluded[name] for name in ("name", "seq", "heard_at")},
            where=customer_names.c.seq < new.excluded.seq,
        )
        await connection.execute(statement, rows)

    async def _assignments(
        self, connection: AsyncConnection, events: Sequence[AssignmentChanged]
    ) -> None:
        await write_assignments(connection, assignments, events)
