"""Keeps the replica of customers and their assignments, and the orders' visibility that follows (D11).

Why no order is missed when it is written while its customer is reassigned. Who writes an order takes the
customer's row FOR SHARE and only then, in a later statement, reads the assignments; who applies
assignments takes the rows of all customers concerned FOR UPDATE, in the order of their ids, and only
then touches assignments and orders. Whoever comes second waits for the first one's commit, and each
statement under READ COMMITTED sees what was committed before it began: a writer finds the new
assignments, an applier finds the new order. A customer whose row is not here yet is no hole: it cannot
be ordered for, and its row is written under the replica's advisory lock of the organization
(`kit.replication.replica`), which the applier of its assignments holds until it has committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.assignments import write_assignments
from bailiwick_access.replica import upsert
from bailiwick_contracts.customers import AssignmentChanged, CustomerChanged
from bailiwick_contracts.envelope import Event
from bailiwick_kit.replication.replica import Applier
from bailiwick_orders.store.customer_names import keep
from bailiwick_orders.store.fan_out import fan_out, lock_customers
from bailiwick_orders.store.tables import assignments, customers


class CustomersReplica:
    """What orders remembers of customers."""

    def appliers(self) -> Mapping[type[Event], Applier]:
        """Return what writes each of customers' events."""
        return {CustomerChanged: self._customers, AssignmentChanged: self._assignments}

    async def _customers(
        self, connection: AsyncConnection, events: Sequence[CustomerChanged]
    ) -> None:
        await upsert(connection, customers, [_row(event) for event in events])
        names = [(event.customer_id, event.name) for event in events]
        await keep(connection, events[0].org_id, names)

    async def _assignments(
        self, connection: AsyncConnection, events: Sequence[AssignmentChanged]
    ) -> None:
        changed = [one for event in events for one in event.assignments]
        await lock_customers(connection, events[0].org_id, {one.customer_id for one in changed})
        await write_assignments(connection, assignments, events)
        await fan_out(connection, events)


def _row(event: CustomerChanged) -> dict[str, Any]:
    """Return what is remembered of a customer."""
    place = next((address for address in event.addresses if address.primary), None)
    return {
        **event.model_dump(
            include={"org_id", "customer_id", "code", "name", "status", "created_by"}
        ),
        "city": place.city if place else None,
        "country": place.country if place else None,
        "version": event.version,
        "seq": event.seq,
        "named_version": event.version,
    }
