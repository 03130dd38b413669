"""One transaction over a batch of imported orders: the same rows and events, a few statements for all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.caller import subject_of
from bailiwick_kit.database.engine import Database
from bailiwick_kit.imports.imported_rows import ImportedRows, Taken
from bailiwick_orders.domain.change import Change, FoundCustomer
from bailiwick_orders.domain.order import Order
from bailiwick_orders.store.representation import representations
from bailiwick_orders.store.rows import order_row, to_customer, to_order
from bailiwick_orders.store.statements import (
    MADE_VISIBLE,
    NOT_VISIBLE,
    REWRITE,
    audit_row,
    named,
    outbox_row,
    version_row,
)
from bailiwick_orders.store.tables import (
    audit,
    customers,
    imported_rows,
    members,
    order_versions,
    orders,
    outbox,
)


class ImportUnit:
    """One transaction in one organization."""

    def __init__(self, connection: AsyncConnection, org_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._org_id = org_id
        self._now = now

    async def known(self, source: str, external_refs: Iterable[str]) -> Mapping[str, UUID]:
        """Return the orders that imports from this source have made; keeps a second import out."""
        await self._connection.exec_driver_sql(
            "SELECT pg_advisory_xact_lock(hashtext('orders.import'), hashtext($1))",
            (str(self._org_id),),
        )
        statement = sa.select(orders.c.external_ref, orders.c.order_id).where(
            orders.c.org_id == self._org_id,
            orders.c.import_source == source,
            orders.c.external_ref == _any_of(external_refs, sa.Text()),
        )
        found = await self._connection.execute(statement)
        return {row.external_ref: row.order_id for row in found}

    async def before(self, source: str, refs: Iterable[str]) -> Mapping[str, Taken]:
        """Return what those of a source's rows said that were taken before."""
        return await self._rows(source).before(self._connection, refs)

    async def keep(self, source: str, taken: Mapping[str, Taken]) -> None:
        """Keep what rows said that were taken."""
        await self._rows(source).keep(self._connection, taken)

    def _rows(self, source: str) -> ImportedRows:
        return ImportedRows(imported_rows, self._org_id, source, "order")

    async def present(self, order_ids: Iterable[UUID]) -> Mapping[UUID, Order]:
        """Return orders as they stand, kept from changing."""
        statement = (
            sa.select(orders)
            .where(
                orders.c.org_id == self._org_id,
                orders.c.order_id == _any_of(order_ids, sa.Uuid()),
            )
            .order_by(orders.c.order_id)
            .with_for_update()
        )
        found = (await self._connection.execute(statement)).mappings()
        return {row["order_id"]: to_order(row) for row in found}

    async def save(self, changed: Sequence[tuple[Order, Order, Change]]) -> None:
        """Write changed orders, each after the one that it was, and tell the bus."""
        if not changed:
            return
        rows = [order_row(after) for _, after, _ in changed]
        await self._connection.execute(REWRITE, [named(orders, row) for row in rows])
        await self._write(
            order_versions, [version_row(before, change) for before, _, change in changed]
        )
        ids = [after.order_id for _, after, _ in changed]
        of_these = {"org_id": self._org_id, "order_ids": ids}
        await self._connection.execute(NOT_VISIBLE, of_these)
        await self._connection.execute(MADE_VISIBLE, {**of_these, "now": self._now})
        audited = [audit_row(after, change) for _, after, change in changed]
        await self._write(audit, [{**row, "action": "order.import"} for row in audited])
        told = [outbox_row(after, change, bulk=True) for _, after, change in changed]
        await self._write(outbox, told)

    async def customers(self, customer_ids: Iterable[UUID]) -> Mapping[UUID, FoundCustomer]:
        """Return those of the customers that there are, kept from being reassigned."""
        statement = (
            sa.select(customers)
            .where(
                customers.c.org_id == self._org_id,
                customers.c.customer_id == _any_of(set(customer_ids), sa.Uuid()),
            )
            .order_by(customers.c.customer_id)  # as who assigns does: nobody waits for each other
            .with_for_update(read=True)
        )
        rows = (await self._connection.execute(statement)).mappings().all()
        ids = [row["customer_id"] for row in rows]
        represented = await representations(self._connection, self._org_id, ids, self._now)
        return {
            row["customer_id"]: FoundCustomer(to_customer(row), represented[row["customer_id"]])
            for row in rows
        }

    async def subjects(self, member_ids: Iterable[UUID]) -> Mapping[UUID, Mapping[str, object]]:
        """Return what policy is told of each member that there is."""
        statement = sa.select(members).where(
            members.c.org_id == self._org_id,
            members.c.member_id == _any_of(member_ids, sa.Uuid()),
        )
        found = (await self._connection.execute(statement)).mappings()
        return {row["member_id"]: subject_of(row, self._now) for row in found}

    async def taken(self, numbers: Iterable[str]) -> set[str]:
        """Return those of the numbers that orders of the organization have."""
        statement = sa.select(orders.c.number).where(
            orders.c.org_id == self._org_id, orders.c.number == _any_of(numbers, sa.Text())
        )
        return set((await self._connection.execute(statement)).scalars())

    async def add(self, made: Sequence[tuple[Order, Change]]) -> None:
        """Write the orders with their visibility and audit, and tell the bus."""
        if not made:
            return
        await self._write(orders, [order_row(order) for order, _ in made])
        ids = [order.order_id for order, _ in made]
        bound = {"org_id": self._org_id, "order_ids": ids, "now": self._now}
        await self._connection.execute(MADE_VISIBLE, bound)
        rows = [audit_row(order, change) for order, change in made]
        await self._write(audit, [{**row, "action": "order.import"} for row in rows])
        await self._write(outbox, [outbox_row(order, change, bulk=True) for order, change in made])

    async def _write(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        await self._connection.execute(table.insert().inline(), rows)


class OpenImport:
    """Opens transactions on a database, as the worker."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def __call__(self, org_id: UUID, now: datetime) -> AsyncIterator[ImportUnit]:
        """Open a transaction; it commits on a clean exit."""
        async with self._database.writing(org_id) as connection:
            yield ImportUnit(connection, org_id, now)


def _any_of(values: Iterable[object], kind: sa.types.TypeEngine[Any]) -> sa.ColumnElement[bool]:
    """Return what to compare a column with: one parameter, however many values."""
    return sa.any_(sa.literal(list(values), sa.ARRAY(kind)))
