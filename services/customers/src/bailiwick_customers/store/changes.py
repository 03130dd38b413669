"""What the change feed tells of customers: every customer and assignment changed after a number (D1)."""

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
from bailiwick_kit.database.engine import Database

MOST_ASSIGNMENTS = 2000
"""Assignments that are read at once, but for one act that has more."""


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

    async def after(self, org_id: UUID, seq: int, limit: int) -> tuple[list[Sequenced], bool]:
        """Return up to `limit` customers and changesets changed later, as they are now, in order.

        And whether that is all: it ends earlier where the changesets are large.
        """
        async with self._database.reading(org_id) as connection:
            customers = await _customers(connection, org_id, seq, limit)
            changesets, is_all = await _changesets(connection, org_id, seq, limit)
        found: list[Sequenced] = sorted([*customers, *changesets], key=lambda event: event.seq)
        if not is_all:  # of what comes after the last changeset, some changesets are not here
            found = [event for event in found if event.seq <= changesets[-1].seq]
        return found[:limit], is_all and len(found) < limit


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
) -> tuple[list[AssignmentChanged], bool]:
    """Return changesets with `MOST_ASSIGNMENTS` together, or one that is larger; and whether all."""
    table = assignments
    later = sa.and_(table.c.org_id == org_id, table.c.seq > seq)
    sizes = (
        sa.select(table.c.seq, sa.func.count().label("size"))
        .where(later)
        .group_by(table.c.seq)
        .order_by(table.c.seq)
        .limit(limit)
        .subquery()
    )
    so_far = sa.func.sum(sizes.c.size).over(order_by=sizes.c.seq) - sizes.c.size
    numbers = sa.select(sizes.c.seq, so_far.label("before"))
    found = (await connection.execute(numbers)).all()
    last = max((number for number, before in found if before < MOST_ASSIGNMENTS), default=seq)
    statement = (
        sa.select(table)
        .where(later, table.c.seq <= last)
        .order_by(table.c.seq, table.c.assignment_id)
    )
    rows = (await connection.execute(statement)).mappings().all() if found else ()
    changesets = [
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
    return changesets, len(found) < limit and (not found or found[-1].seq == last)
