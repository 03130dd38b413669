"""Keeps the replica of customers and their assignments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.assignments import write_assignments
from bailiwick_access.replica import upsert
from bailiwick_contracts.customers import AssignmentChanged, CustomerChanged
from bailiwick_contracts.envelope import Event
from bailiwick_kit.replication.replica import Applier
from bailiwick_reports.store.tables import assignments, customers


class CustomersReplica:
    """What reports remembers of customers."""

    def appliers(self) -> Mapping[type[Event], Applier]:
        """Return what writes each of customers' events."""
        return {CustomerChanged: self._customer, AssignmentChanged: self._assignments}

    async def _customer(
        self, connection: AsyncConnection, events: Sequence[CustomerChanged]
    ) -> None:
        await upsert(connection, customers, [customer_row(event) for event in events])

    async def _assignments(
        self, connection: AsyncConnection, events: Sequence[AssignmentChanged]
    ) -> None:
        await write_assignments(connection, assignments, events)


def customer_row(event: CustomerChanged) -> dict[str, Any]:
    """Return what is remembered of a customer; not where exactly it is, nor its terms."""
    place = next((address for address in event.addresses if address.primary), None)
    return {
        **event.model_dump(include={"org_id", "customer_id", "code", "name", "status"}),
        "country": place.country if place else None,
        "version": event.version,
        "seq": event.seq,
    }
