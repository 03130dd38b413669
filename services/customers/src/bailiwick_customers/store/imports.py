"""One transaction over a batch of imported records: the same rows and events, a few statements for all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from bailiwick_access.caller import subject_of
from bailiwick_customers.domain.assignment import Assignment, Changeset
from bailiwick_customers.domain.customer import Customer
from bailiwick_customers.domain.views import Membership
from bailiwick_customers.store import searching, tables
from bailiwick_customers.store.rows import (
    customer_event,
    customer_row,
    to_assignment,
    to_customer,
)
from bailiwick_customers.store.unit_of_work import Assignments, Customers, author_row
from bailiwick_kit.bus.outbox import record
from bailiwick_kit.clock import Clock, SystemClock
from bailiwick_kit.database.engine import Database
from bailiwick_kit.imports.imported_rows import ImportedRows, Taken
from bailiwick_kit.replication.change_counter import next_numbers


class ImportUnit:
    """One transaction in one organization."""

    def __init__(self, connection: AsyncConnection, org_id: UUID, clock: Clock) -> None:
        self._connection = connection
        self._org_id = org_id
        self._clock = clock
        self._now = clock.now()

    async def known(self, source: str, external_refs: Iterable[str]) -> Mapping[str, UUID]:
        """Return the customers that imports from this source have made, kept from changing."""
        table = tables.customers
        statement = (
            sa.select(table.c.external_ref, table.c.customer_id)
            .where(
                table.c.org_id == self._org_id,
                table.c.import_source == source,
                table.c.external_ref == _any_of(set(external_refs), sa.Text()),
            )
            .order_by(table.c.customer_id)  # two imports at once lock in the same order
            .with_for_update()
        )
        found = await self._connection.execute(statement)
        return {row.external_ref: row.customer_id for row in found}

    async def before(self, source: str, kind: str, refs: Iterable[str]) -> Mapping[str, Taken]:
        """Return what those of a source's rows said that were taken before."""
        return await self._rows(source, kind).before(self._connection, refs)

    async def keep(self, source: str, kind: str, taken: Mapping[str, Taken]) -> None:
        """Keep what rows said that were taken."""
        await self._rows(source, kind).keep(self._connection, taken)

    def _rows(self, source: str, kind: str) -> ImportedRows:
        return ImportedRows(tables.imported_rows, self._org_id, source, kind)

    async def present(self, customer_ids: Iterable[UUID]) -> Mapping[UUID, Customer]:
        """Return customers as they stand."""
        table = tables.customers
        statement = sa.select(table).where(
            table.c.org_id == self._org_id,
            table.c.customer_id == _any_of(customer_ids, sa.Uuid()),
        )
        found = (await self._connection.execute(statement)).mappings()
        return {row["customer_id"]: to_customer(row) for row in found}

    async def save(self, customers: Sequence[Customer]) -> None:
        """Write changed customers and tell the bus."""
        unit = Customers(self._connection, self._org_id)
        for customer in customers:
            await unit.save(customer, bulk=True)

    async def taken(self, codes: Iterable[str]) -> set[str]:
        """Return those of the codes that customers of the organization have."""
        table = tables.customers
        statement = sa.select(table.c.code).where(
            table.c.org_id == self._org_id, table.c.code == _any_of(codes, sa.Text())
        )
        return set((await self._connection.execute(statement)).scalars())

    async def add(self, customers: Sequence[Customer]) -> None:
        """Write new customers, that they have an author, and tell the bus."""
        if not customers:
            return
        numbers = await next_numbers(
            self._connection, tables.change_counters, self._org_id, len(customers)
        )
        rows = [
            {**customer_row(customer), "seq": seq}
            for customer, seq in zip(customers, numbers, strict=True)
        ]
        await self._connection.execute(tables.customers.insert().inline(), rows)
        await searching.index(self._connection, rows)
        await self._connection.execute(
            tables.visibility.insert().inline(), [author_row(customer) for customer in customers]
        )
        events = (
            customer_event(customer, seq) for customer, seq in zip(customers, numbers, strict=True)
        )
        await record(self._connection, tables.outbox, events, bulk=True)

    async def assignments(self, customer_ids: Iterable[UUID]) -> Mapping[UUID, list[Assignment]]:
        """Return all assignments of each customer, ended ones included."""
        table = tables.assignments
        statement = (
            sa.select(table)
            .where(
                table.c.org_id == self._org_id,
                table.c.customer_id == _any_of(customer_ids, sa.Uuid()),
            )
            .order_by(table.c.valid_from, table.c.assignment_id)
        )
        found: dict[UUID, list[Assignment]] = {}
        for row in (await self._connection.execute(statement)).mappings():
            found.setdefault(row["customer_id"], []).append(to_assignment(row))
        return found

    async def turn(self) -> datetime:
        """Wait until no other change of the organization is being numbered; return the instant then."""
        await next_numbers(self._connection, tables.change_counters, self._org_id, 0)
        self._now = self._clock.now()
        return self._now

    async def write(self, changeset: Changeset) -> None:
        """Write assignments, with the visibility that follows, and tell the bus."""
        await Assignments(self._connection, self._org_id).write(changeset, imported=True)

    async def memberships(self, member_ids: Iterable[UUID]) -> Mapping[UUID, Membership]:
        """Return the memberships of those that there are."""
        table = tables.members
        statement = sa.select(table).where(
            table.c.org_id == self._org_id,
            table.c.member_id == _any_of(set(member_ids), sa.Uuid()),
        )
        return {
            row["member_id"]: Membership(
                subject_of(row, self._now), row["valid_from"], row["valid_until"]
            )
            for row in (await self._connection.execute(statement)).mappings()
        }

    async def note(
        self, action: str, member_id: UUID, entity_ids: Iterable[UUID], source: str
    ) -> None:
        """Add a row for each record to the audit trail."""
        rows = [
            {
                "org_id": self._org_id,
                "audit_id": uuid7(),
                "at": self._now,
                "member_id": member_id,
                "action": action,
                "entity_id": entity_id,
                "details": {"import_source": source},
            }
            for entity_id in entity_ids
        ]
        if rows:
            await self._connection.execute(tables.audit.insert().inline(), rows)


class OpenImport:
    """Opens transactions on a database, as the worker."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    @asynccontextmanager
    async def __call__(self, org_id: UUID) -> AsyncIterator[ImportUnit]:
        """Open a transaction; it commits on a clean exit."""
        async with self._database.writing(org_id) as connection:
            yield ImportUnit(connection, org_id, self._clock)


def _any_of(values: Iterable[object], kind: sa.types.TypeEngine[Any]) -> sa.ColumnElement[bool]:
    """Return what to compare a column with: one parameter, however many values."""
    return sa.any_(sa.literal(list(values), sa.ARRAY(kind)))
