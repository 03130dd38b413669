"""Counts the cube anew from what each order counts for, and compares the two (D19, F28).

Piece by piece: a piece is some customers, in the order of their ids, with all of their orders and cells.
While a piece is recounted nobody counts an order of the organization; between two pieces, who has been
waiting does (ADR 28). So an event waits for one piece, however many orders there are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bailiwick_kit.database.engine import Database
from bailiwick_reports.domain.differences import NOTHING, Cell, Sums
from bailiwick_reports.store.cube import FIGURES, KEY, keep_counting_out
from bailiwick_reports.store.tables import HOUSE, orders, sales

PIECE = 5_000
"""Orders after which a piece ends, with the last customer's: some tenths of a second."""
_LAST = UUID(int=2**128 - 1)
_TOO_LONG = frozenset({"57014", "55P03"})
"""What PostgreSQL answers where a statement, or waiting for a lock, took longer than it may."""

_BY_HASH = sa.text("SET LOCAL enable_nestloop = off")
"""Without statistics PostgreSQL expects a row or two in a piece, and compares each cell with each."""

_org_id = sa.bindparam("org_id", type_=sa.Uuid)
_first, _last = (sa.bindparam(name, type_=sa.Uuid) for name in ("first", "last"))
_CELL = ("org_id", *KEY)


def _in_piece(table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.org_id == _org_id, table.c.customer_id.between(_first, _last))


def _end(table: sa.Table) -> sa.ScalarSelect[UUID]:
    """Return the customer of the row that is so many after the first of a piece, null where none is."""
    return (
        sa.select(table.c.customer_id)
        .where(table.c.org_id == _org_id, table.c.customer_id >= _first)
        .order_by(table.c.customer_id)
        .offset(sa.bindparam("rows", type_=sa.Integer))
        .limit(1)
        .scalar_subquery()
    )


_PIECE = sa.select(sa.func.least(_end(orders), _end(sales)))


def _sums(*where: sa.ColumnElement[bool]) -> sa.Subquery:
    cell = [orders.c[name] for name in _CELL]
    return (
        sa.select(
            *cell,
            sa.func.count().label("orders"),
            *(sa.func.sum(orders.c[name]).label(name) for name in ("pieces", "net")),
        )
        .where(*where, orders.c.order_date.is_not(None))
        .group_by(*cell)
        .subquery("sums")
    )


_SUMS = _sums(orders.c.org_id == _org_id)
_OF_PIECE = _sums(_in_piece(orders))
_KEPT = sa.select(sales).where(sales.c.org_id == _org_id).subquery("kept")


def _same(
    names: tuple[str, ...], one: sa.FromClause, sums: sa.FromClause
) -> sa.ColumnElement[bool]:
    return sa.and_(*(one.c[name] == sums.c[name] for name in names))


_TAKE_OUT = sales.delete().where(
    _in_piece(sales), ~sa.exists().where(_same((*_CELL, *FIGURES), sales, _OF_PIECE))
)
_PUT_IN = sales.insert().from_select(
    [*_CELL, *FIGURES],
    sa.select(_OF_PIECE).where(
        ~sa.exists().where(_in_piece(sales), _same(_CELL, sales, _OF_PIECE))
    ),
)
_FORGET = orders.delete().where(_in_piece(orders))
_BOTH = sa.select(
    *(sa.func.coalesce(_SUMS.c[name], _KEPT.c[name]).label(name) for name in KEY),
    *(_SUMS.c[name].label(f"counted_{name}") for name in FIGURES),
    *(_KEPT.c[name].label(f"kept_{name}") for name in FIGURES),
).select_from(_SUMS.join(_KEPT, _same(_CELL, _KEPT, _SUMS), full=True))


@dataclass(frozen=True)
class Cube:
    """The cube as a whole, for operators; as the worker."""

    database: Database
    piece: int = PIECE

    async def recount(self, org_id: UUID, *, forgetting: bool) -> tuple[int, int]:
        """Make it anew from `orders`, a piece at a time; return how many cells went, and how many came.

        What is right stays untouched. Who reads sees all cells of a customer as they were, or all as they
        should be. `forgetting` deletes `orders` too, and with them all figures. A piece that takes too long
        is tried again with half as many orders.
        """
        gone, come, first, rows = 0, 0, UUID(int=0), self.piece
        while True:
            try:
                last, out, put = await self._recount_piece(
                    org_id, first, rows, forgetting=forgetting
                )
            except sa.exc.DBAPIError as error:
                if rows == 1 or getattr(error.orig, "sqlstate", None) not in _TOO_LONG:
                    raise
                rows //= 2
                continue
            gone, come = gone + out, come + put
            if last == _LAST:
                return gone, come
            first, rows = UUID(int=last.int + 1), min(2 * rows, self.piece)

    async def _recount_piece(
        self, org_id: UUID, first: UUID, rows: int, *, forgetting: bool
    ) -> tuple[UUID, int, int]:
        """Recount from a customer on, that many orders; return the last customer, and the cells."""
        bound = {"org_id": org_id, "first": first}
        async with self.database.writing(org_id) as connection:
            found = await connection.execute(_PIECE, {**bound, "rows": rows})
            bound["last"] = found.scalar() or _LAST
            await keep_counting_out(connection, org_id)
            await connection.execute(_BY_HASH)
            if forgetting:
                await connection.execute(_FORGET, bound)
            out = await connection.execute(_TAKE_OUT, bound)
            put = await connection.execute(_PUT_IN, bound)
        return bound["last"], out.rowcount, put.rowcount

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
