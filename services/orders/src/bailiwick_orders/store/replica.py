"""Keeps the replica of customers and their assignments, and the orders' visibility that follows (D11).

Why no order is missed when it is written while its customer is reassigned. Who writes an order takes the
customer's row FOR SHARE and only then, in a later statement, reads the assignments; who applies
assignments takes the rows of all customers concerned FOR UPDATE, in the order of their ids, and only
then touches assignments and orders. Whoever comes second waits for the first one's commit, and each
statement under READ COMMITTED sees what was committed before it began: a writer finds the new
assignments, an applier finds the new order. A customer whose row is not here yet is no hole: it cannot
be ordered for, and its row is written under the replica's advisory lock of the organization
(`kit.replica`), which the applier of its assignments holds until it has committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.assignments import write_assignments
from bailiwick_access.replica import upsert
from bailiwick_contracts.customers import AssignmentChanged, CustomerChanged
from bailiwick_contracts.envelope import Event
from bailiwick_kit.replica import Applier
from bailiwick_orders.store.tables import assignments, customers, orders, visibility

_ids = sa.ARRAY(sa.Uuid)
_org_id = sa.bindparam("org_id", type_=sa.Uuid)

_LOCK = (
    sa.select(customers.c.customer_id)
    .where(
        customers.c.org_id == _org_id,
        customers.c.customer_id == sa.any_(sa.bindparam("customer_ids", type_=_ids)),
    )
    .order_by(customers.c.customer_id)
    .with_for_update()
)


def _fan_out() -> sa.Executable:
    touched, held = assignments.alias("touched"), assignments.alias("held")
    # Two assignments may share a visibility row: one cancelled before it began, and its successor.
    # The later end holds, in whatever order the two arrive.
    source = (
        sa.select(
            orders.c.org_id,
            held.c.member_id,
            orders.c.listed_at,
            orders.c.order_id,
            held.c.relation,
            held.c.valid_from,
            sa.func.max(held.c.valid_to),
        )
        .join_from(
            touched,
            held,
            sa.and_(
                held.c.org_id == touched.c.org_id,
                held.c.customer_id == touched.c.customer_id,
                held.c.member_id == touched.c.member_id,
                held.c.relation == touched.c.relation,
                held.c.valid_from == touched.c.valid_from,
            ),
        )
        .join(
            orders,
            sa.and_(
                orders.c.org_id == touched.c.org_id, orders.c.customer_id == touched.c.customer_id
            ),
        )
        .where(
            touched.c.org_id == _org_id,
            touched.c.assignment_id == sa.any_(sa.bindparam("assignment_ids", type_=_ids)),
        )
        .group_by(
            orders.c.org_id,
            held.c.member_id,
            orders.c.listed_at,
            orders.c.order_id,
            held.c.relation,
            held.c.valid_from,
        )
    )
    statement = insert(visibility).from_select([c.name for c in visibility.columns], source)
    return statement.on_conflict_do_update(
        index_elements=list(visibility.primary_key.columns),
        set_={"valid_to": statement.excluded.valid_to},
        where=visibility.c.valid_to != statement.excluded.valid_to,
    )


_FAN_OUT = _fan_out()


class CustomersReplica:
    """What orders remembers of customers."""

    def appliers(self) -> Mapping[type[Event], Applier]:
        """Return what writes each of customers' events."""
        return {CustomerChanged: self._customer, AssignmentChanged: self._assignments}

    async def _customer(self, connection: AsyncConnection, event: Event) -> None:
        assert isinstance(event, CustomerChanged)  # noqa: S101  # the mapping above holds it
        place = next((address for address in event.addresses if address.primary), None)
        row = {
            **event.model_dump(
                include={"org_id", "customer_id", "code", "name", "status", "created_by"}
            ),
            "city": place.city if place else None,
            "country": place.country if place else None,
            "version": event.version,
            "seq": event.seq,
        }
        await upsert(connection, customers, row)

    async def _assignments(self, connection: AsyncConnection, event: Event) -> None:
        assert isinstance(event, AssignmentChanged)  # noqa: S101  # likewise
        customer_ids: set[UUID] = {one.customer_id for one in event.assignments}
        bound = {"org_id": event.org_id, "customer_ids": sorted(customer_ids)}
        await connection.execute(_LOCK, bound)
        assignment_ids = await write_assignments(connection, assignments, event)
        if assignment_ids:
            await connection.execute(
                _FAN_OUT, {"org_id": event.org_id, "assignment_ids": assignment_ids}
            )
