"""What the door tells of customers: every customer and assignment changed after a number (D1)."""

from __future__ import annotations

from itertools import groupby
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.customers import AssignmentChanged
from bailiwick_contracts.envelope import Sequenced
from bailiwick_customers.store.rows import (
    assignment_part,
    customer_event,
    to_assignment,
    to_customer,
)
from bailiwick_customers.store.tables import assignments, change_counters, customers
from bailiwick_kit.database import Database


class CustomerChanges:
    """Answers siblings; reads as the worker, because heads are asked for all organizations at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def head(self, org_id: UUID) -> int:
        """Return the number of the organization's last change, 0 where there is none."""
        statement = sa.select(change_counters.c.seq).where(change_counters.c.org_id == org_id)
        async with self._database.reading(org_id) as connection:
            return int((await connection.execute(statement)).scalar() or 0)

    async def heads(self) -> list[tuple[UUID, int]]:
        """Return every organization with the number of its last change."""
        async with self._database.reading(None) as connection:
            found = await connection.execute(
                sa.select(change_counters.c.org_id, change_counters.c.seq)
            )
            return [(row.org_id, row.seq) for row in found]

    async def after(self, org_id: UUID, seq: int, limit: int) -> list[Sequenced]:
        """Return up to `limit` customers and changesets changed later, as they are now, in order."""
        async with self._database.reading(org_id) as connection:
            found: list[Sequenced] = [
                *await _customers(connection, org_id, seq, limit),
                *await _changesets(connection, org_id, seq, limit),
            ]
        return sorted(found, key=lambda event: event.seq)[:limit]


async def _customers(
    connection: AsyncConnection, org_id: UUID, seq: int, limit: int
) -> list[Sequenced]:
    statement = (
        sa.select(customers)
        .where(customers.c.org_id == org_id, customers.c.seq > seq)
        .order_by(customers.c.seq)
        .limit(limit)
    )
    rows = (await connection.execute(statement)).mappings()
    return [customer_event(to_customer(row), row["seq"]) for row in rows]


async def _changesets(
    connection: AsyncConnection, org_id: UUID, seq: int, limit: int
) -> list[Sequenced]:
    table = assignments
    numbers = (
        sa.select(table.c.seq)
        .where(table.c.org_id == org_id, table.c.seq > seq)
        .distinct()
        .order_by(table.c.seq)
        .limit(limit)
    )
    statement = (
        sa.select(table)
        .where(table.c.org_id == org_id, table.c.seq.in_(numbers))
        .order_by(table.c.seq, table.c.assignment_id)
    )
    rows = (await connection.execute(statement)).mappings().all()
    return [
        AssignmentChanged(
            org_id=org_id,
            version=1,
            seq=number,
            changeset_id=part[0]["changeset_id"],
            assignments=tuple(assignment_part(to_assignment(row)) for row in part),
        )
        for number, group in groupby(rows, key=lambda row: row["seq"])
        if (part := list(group))
    ]
