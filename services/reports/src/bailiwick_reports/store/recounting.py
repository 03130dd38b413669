"""Counts the cube anew from what each order counts for, and compares the two (D19, F28)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bailiwick_kit.database import Database
from bailiwick_reports.domain.differences import NOTHING, Cell, Sums
from bailiwick_reports.store.cube import FIGURES, KEY, keep_counting_out
from bailiwick_reports.store.tables import HOUSE, orders, sales

_org_id = sa.bindparam("org_id", type_=sa.Uuid)
_CELL = ("org_id", *KEY)


def _sums() -> sa.Subquery:
    cell = [orders.c[name] for name in _CELL]
    return (
        sa.select(
            *cell,
            sa.func.count().label("orders"),
            *(sa.func.sum(orders.c[name]).label(name) for name in ("pieces", "net")),
        )
        .where(orders.c.org_id == _org_id, orders.c.order_date.is_not(None))
        .group_by(*cell)
        .subquery("sums")
    )


_SUMS = _sums()
_KEPT = sa.select(sales).where(sales.c.org_id == _org_id).subquery("kept")


def _same(names: tuple[str, ...], one: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(*(one.c[name] == _SUMS.c[name] for name in names))


_TAKE_OUT = sales.delete().where(
    sales.c.org_id == _org_id, ~sa.exists().where(_same((*_CELL, *FIGURES), sales))
)
_PUT_IN = sales.insert().from_select(
    [*_CELL, *FIGURES], sa.select(_SUMS).where(~sa.exists().where(_same(_CELL, sales)))
)
_BOTH = sa.select(
    *(sa.func.coalesce(_SUMS.c[name], _KEPT.c[name]).label(name) for name in KEY),
    *(_SUMS.c[name].label(f"counted_{name}") for name in FIGURES),
    *(_KEPT.c[name].label(f"kept_{name}") for name in FIGURES),
).select_from(_SUMS.join(_KEPT, _same(_CELL, _KEPT), full=True))


@dataclass(frozen=True)
class Cube:
    """The cube as a whole, for operators; as the worker."""

    database: Database

    async def recount(self, org_id: UUID, *, forgetting: bool) -> tuple[int, int]:
        """Make it anew from `orders`, in one transaction; return how many cells went, and how many came.

        What is right stays untouched, and who reads sees all as it was until all is as it should be.
        `forgetting` deletes `orders` too, and with them all figures.
        """
        async with self.database.writing(org_id) as connection:
            await keep_counting_out(connection, org_id)
            if forgetting:
                await connection.execute(orders.delete().where(orders.c.org_id == org_id))
            taken_out = await connection.execute(_TAKE_OUT, {"org_id": org_id})
            put_in = await connection.execute(_PUT_IN, {"org_id": org_id})
            return taken_out.rowcount, put_in.rowcount

    async def cells(self, org_id: UUID) -> AsyncIterator[tuple[Cell, Sums, Sums]]:
        """Give each cell with what its orders come to, and with what the cube has, of one instant."""
        async with self.database.writing(org_id) as connection:  # a cursor takes a transaction
            async for row in await connection.stream(_BOTH, {"org_id": org_id}):
                found = row._mapping  # noqa: SLF001 - SQLAlchemy's own name for it
                yield _cell(found), _figures(found, "counted"), _figures(found, "kept")


def _cell(row: Any) -> Cell:
    values = {name: row[name] for name in KEY}
    return Cell(
        **{**values, "credited_to": None if row["credited_to"] == HOUSE else row["credited_to"]}
    )


def _figures(row: Any, prefix: str) -> Sums:
    count = row[f"{prefix}_orders"]
    if count is None:
        return NOTHING
    return Sums(count, row[f"{prefix}_pieces"], row[f"{prefix}_net"])
