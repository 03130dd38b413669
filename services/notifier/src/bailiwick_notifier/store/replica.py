"""Keeps the replica of assignments. Of customers themselves nothing is kept: an order says whose it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.assignments import write_assignments
from bailiwick_contracts.customers import AssignmentChanged, CustomerChanged
from bailiwick_contracts.envelope import Event
from bailiwick_kit.replica import Applier
from bailiwick_notifier.store.tables import assignments


class CustomersReplica:
    """What notifier remembers of customers."""

    def appliers(self) -> Mapping[type[Event], Applier]:
        """Return what writes each of customers' events."""
        return {CustomerChanged: self._customer, AssignmentChanged: self._assignments}

    async def _customer(
        self, connection: AsyncConnection, events: Sequence[CustomerChanged]
    ) -> None:
        """Write nothing: it counts in the sequence alone, so that a gap in that can be seen."""

    async def _assignments(
        self, connection: AsyncConnection, events: Sequence[AssignmentChanged]
    ) -> None:
        await write_assignments(connection, assignments, events)
