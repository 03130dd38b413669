"""One transaction over customers: rows, visibility, events and audit commit together, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.caller import subject_of
from bailiwick_contracts.customers import AssignmentChanged
from bailiwick_customers.actions.ports import Found
from bailiwick_customers.domain.assignment import Assignment, Changeset
from bailiwick_customers.domain.customer import Customer
from bailiwick_customers.domain.errors import MainOverlap
from bailiwick_customers.store import tables
from bailiwick_customers.store.queries import Who, one
from bailiwick_customers.store.rows import (
    assignment_part,
    assignment_row,
    customer_event,
    customer_row,
    to_assignment,
)
from bailiwick_kit import audit, crash_points
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_kit.database import Database
from bailiwick_kit.idempotency import Claim, IdempotencyKeys, Replay
from bailiwick_kit.outbox import record
from bailiwick_kit.sequence import next_numbers
from bailiwick_kit.trace import trace_parent

_KEYS = IdempotencyKeys(tables.idempotency_keys)

_VISIBLE_THROUGH = (
    sa.select(
        tables.assignments.c.org_id,
        tables.assignments.c.member_id,
        tables.customers.c.listed_at,
        tables.assignments.c.customer_id,
        tables.assignments.c.relation,
        tables.assignments.c.valid_from,
        tables.assignments.c.valid_to,
    )
    .join_from(
        tables.assignments,
        tables.customers,
        sa.and_(
            tables.customers.c.org_id == tables.assignments.c.org_id,
            tables.customers.c.customer_id == tables.assignments.c.customer_id,
        ),
    )
    .where(
        tables.assignments.c.org_id == sa.bindparam("org_id", type_=sa.Uuid),
        tables.assignments.c.assignment_id
        == sa.any_(sa.bindparam("assignment_ids", type_=sa.ARRAY(sa.Uuid))),
    )
)
"""The visibility rows that follow from assignments (D11)."""


class Customers:
    """Customers of one organization, in one transaction."""

    def __init__(self, connection: AsyncConnection, org_id: UUID) -> None:
        self._connection = connection
        self._org_id = org_id

    async def locked(self, customer_id: UUID, member_id: UUID, now: datetime) -> Found | None:
        """Return the customer with the member's facts, kept from changing until the end."""
        return await one(
            self._connection, Who(self._org_id, member_id, now), customer_id, locked=True
        )

    async def add(self, customer: Customer) -> None:
        """Write a new customer, that its creator made it, and tell the bus."""
        seq = await self._number()
        await self._connection.execute(
            tables.customers.insert().values(**customer_row(customer), seq=seq)
        )
        await self._connection.execute(tables.visibility.insert().values(**author_row(customer)))
        await self._tell(customer, seq)

    async def save(self, customer: Customer) -> None:
        """Write a changed customer and tell the bus."""
        seq = await self._number()
        table = tables.customers
        await self._connection.execute(
            table.update()
            .where(table.c.org_id == customer.org_id, table.c.customer_id == customer.customer_id)
            .values(**customer_row(customer), seq=seq)
        )
        await self._tell(customer, seq)

    async def is_code_taken(self, code: str) -> bool:
        """Tell whether the organization has a customer of that code."""
        table = tables.customers
        statement = sa.select(sa.literal(1)).where(
            table.c.org_id == self._org_id, table.c.code == code
        )
        return (await self._connection.execute(statement)).first() is not None

    async def _number(self) -> int:
        return (await next_numbers(self._connection, tables.change_counters, self._org_id)).start

    async def _tell(self, customer: Customer, seq: int) -> None:
        await record(
            self._connection,
            tables.outbox,
            [customer_event(customer, seq)],
            trace_parent=trace_parent(),
        )


class Assignments:
    """Assignments of one organization, in one transaction."""

    def __init__(self, connection: AsyncConnection, org_id: UUID) -> None:
        self._connection = connection
        self._org_id = org_id

    async def of(self, customer_id: UUID) -> Sequence[Assignment]:
        """Return all assignments of a customer, ended ones included."""
        table = tables.assignments
        found = await self._connection.execute(
            sa.select(table)
            .where(table.c.org_id == self._org_id, table.c.customer_id == customer_id)
            .order_by(table.c.valid_from, table.c.assignment_id)
        )
        return [to_assignment(row) for row in found.mappings()]

    async def write(self, changeset: Changeset, *, imported: bool = False) -> None:
        """Write what an act changed, with the visibility that follows, and tell the bus.

        Raises:
            MainOverlap: the database holds that there would be two mains at once (D26).
        """
        numbers = await next_numbers(self._connection, tables.change_counters, self._org_id)
        seq = numbers.start
        # What ends goes first: the constraint against two mains looks at each row as it comes, and
        # what begins when another one ends before it held has the same visibility row.
        ended = [one for one in changeset.assignments if one.version > 1]
        begun = [one for one in changeset.assignments if one.version == 1]
        for assignments in filter(None, (ended, begun)):
            await self._upsert(assignments, seq)
            await self._make_visible(assignments)
        await record(
            self._connection,
            tables.outbox,
            [
                AssignmentChanged(
                    org_id=self._org_id,
                    version=1,
                    seq=seq,
                    changeset_id=changeset.changeset_id,
                    assignments=tuple(assignment_part(one) for one in changeset.assignments),
                    imported=imported,
                )
            ],
            trace_parent=trace_parent(),
        )

    async def _upsert(self, assignments: Sequence[Assignment], seq: int) -> None:
        rows = [{**assignment_row(assignment), "seq": seq} for assignment in assignments]
        statement = insert(tables.assignments)
        keys = ("org_id", "assignment_id")
        changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        try:
            await self._connection.execute(
                statement.on_conflict_do_update(index_elements=list(keys), set_=changed).inline(),
                rows,
            )
        except IntegrityError as error:
            if "assignments_one_main" in str(error.orig):
                raise MainOverlap("Read the customer's assignments again.") from None
            raise

    async def _make_visible(self, assignments: Sequence[Assignment]) -> None:
        visible = tables.visibility
        statement = insert(visible).from_select(
            [column.name for column in visible.columns], _VISIBLE_THROUGH
        )
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(visible.primary_key.columns),
                set_={"valid_to": statement.excluded.valid_to},
            ),
            {
                "org_id": self._org_id,
                "assignment_ids": [assignment.assignment_id for assignment in assignments],
            },
        )


def author_row(customer: Customer) -> dict[str, Any]:
    """Return the visibility row that says who made a customer; it never ends (D11)."""
    return {
        "org_id": customer.org_id,
        "member_id": customer.created_by,
        "listed_at": customer.created_at,
        "customer_id": customer.customer_id,
        "relation": "author",
        "valid_from": customer.created_at,
        "valid_to": END_OF_TIME,
    }


class Members:
    """The members of one organization, as this service knows them."""

    def __init__(self, connection: AsyncConnection, org_id: UUID) -> None:
        self._connection = connection
        self._org_id = org_id

    async def subject(self, member_id: UUID, now: datetime) -> Mapping[str, object] | None:
        """Return what policy is told of a member."""
        table = tables.members
        found = await self._connection.execute(
            sa.select(table).where(table.c.org_id == self._org_id, table.c.member_id == member_id)
        )
        row = found.mappings().first()
        return None if row is None else subject_of(row, now)


class Unit:
    """One transaction in one organization."""

    def __init__(self, connection: AsyncConnection, org_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._org_id = org_id
        self._now = now
        self.customers = Customers(connection, org_id)
        self.assignments = Assignments(connection, org_id)
        self.members = Members(connection, org_id)

    async def earlier(self, claim: Claim | None) -> Replay | None:
        """Return what the same request did before; keeps a second one out until this one ends."""
        if claim is None:
            return None
        return await _KEYS.claim(self._connection, claim, now=self._now)

    async def remember(self, claim: Claim | None, entity_id: UUID) -> None:
        """Keep what this request made, for its repetition."""
        if claim is not None:
            done = Replay(entity_id)
            await _KEYS.record(self._connection, claim, done, now=self._now)

    async def note(
        self,
        action: str,
        member_id: UUID,
        entity_id: UUID,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Add to the audit trail."""
        await audit.note(
            self._connection,
            tables.audit,
            org_id=self._org_id,
            at=self._now,
            member_id=member_id,
            action=action,
            entity_id=entity_id,
            details=details,
        )


class OpenUnit:
    """Opens transactions on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def __call__(self, org_id: UUID, now: datetime) -> AsyncIterator[Unit]:
        """Open a transaction; it commits on a clean exit."""
        async with self._database.writing(org_id) as connection:
            yield Unit(connection, org_id, now)
            crash_points.reach("action.before-commit")
        crash_points.reach("action.after-commit")
