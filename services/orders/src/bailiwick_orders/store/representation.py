"""Reads who represents customers, for the transaction that writes an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_orders.domain.representation import Assignment, Representation
from bailiwick_orders.store.tables import assignments

_ASSIGNMENTS = (
    sa.select(
        assignments.c.customer_id,
        *assignments.c["member_id", "relation", "valid_from", "valid_to", "seq"],
    )
    .where(
        assignments.c.org_id == sa.bindparam("org_id", type_=sa.Uuid),
        assignments.c.customer_id == sa.any_(sa.bindparam("customer_ids", type_=sa.ARRAY(sa.Uuid))),
    )
    .order_by(assignments.c.valid_from, assignments.c.assignment_id)
)


async def representations(
    connection: AsyncConnection, org_id: UUID, customer_ids: Sequence[UUID], now: datetime
) -> Mapping[UUID, Representation]:
    """Return each customer's representation.

    Always a statement of its own, after the one that locked the customers: the locking one would still
    see the assignments of before its wait.
    """
    bound = {"org_id": org_id, "customer_ids": list(customer_ids)}
    found: dict[UUID, list[Assignment]] = {customer_id: [] for customer_id in customer_ids}
    for customer_id, *rest in await connection.execute(_ASSIGNMENTS, bound):
        found[customer_id].append(Assignment(*rest))
    return {customer_id: Representation(tuple(ever), now) for customer_id, ever in found.items()}
