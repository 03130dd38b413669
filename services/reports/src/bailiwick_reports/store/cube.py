"""Keeps what each order counts for, and the sums of that by everything that a report asks (D11).

An event tells the whole order, so all of them are taken alike: what the order counted for by its last
event leaves the cube and what it counts for by this one enters it, in one transaction. A lower version
is ignored; the same version is counted again, which changes nothing, or mends the row where it was
damaged. So it all comes to the same in whatever order events arrive, and however often.

Many orders are counted at once: of each order its newest event, and of each cell the sum of all that
enters and leaves it. A few statements are enough for all of them.

Nobody relies on there being one consumer. Who counts writes the rows of new orders first, then takes
those of known ones, then cells of the cube, each in the order of their keys, so that no two wait for each
other. Who recounts keeps all who count out of the organization meanwhile, by the advisory lock that they
share, and for a piece of the cube only (`recounting`); who reads is not held up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.orders import OrderEvent
from bailiwick_reports.store.tables import HOUSE, orders, sales

log = structlog.get_logger(__name__)

KEY = ("customer_id", "author_id", "credited_to", "source", "order_date", "currency", "state")
"""What tells one cell of the cube from another, within an organization."""
FIGURES = ("orders", "pieces", "net")
"""What a cell holds."""

Row = Mapping[str, Any]
_Cell = tuple[Any, ...]
_Figures = tuple[int, Decimal, Decimal]
_NOTHING: _Figures = (0, Decimal(0), Decimal(0))

HOLD = "2s"
"""How long a recount may wait for its lock, each of its statements may take under it, and it may be silent.

Altogether less than the ten seconds that a statement of who counts may take, waiting included.
"""

_OF_ORGANIZATION = sa.bindparam("of_org", type_=sa.Uuid)


def _rows_of(columns: Iterable[sa.Column[Any]]) -> Any:
    """Return rows that are bound as an array for each column, in the order in which they are bound."""
    known = list(columns)
    arrays = (sa.bindparam(f"told_{one.name}", type_=sa.ARRAY(one.type)) for one in known)
    named = (sa.column(one.name, one.type) for one in known)
    return sa.func.unnest(*arrays).table_valued(*named).render_derived(name="told")


def _bound(rows: Sequence[Row], names: Iterable[str]) -> dict[str, list[Any]]:
    return {f"told_{name}": [row[name] for row in rows] for name in names}


_TOLD = _rows_of(orders.c)
_COUNT = (
    insert(orders)
    .from_select(orders.c.keys(), sa.select(_TOLD))
    .on_conflict_do_nothing()
    .returning(orders.c.order_id)
)
_COUNTED = (
    sa.select(orders)
    .where(
        orders.c.org_id == _OF_ORGANIZATION,
        orders.c.order_id == sa.func.any(sa.bindparam("order_ids", type_=sa.ARRAY(sa.Uuid))),
    )
    .order_by(orders.c.order_id)
    .with_for_update()
)
_COUNT_ANEW = (
    orders.update()
    .where(orders.c.org_id == _TOLD.c.org_id, orders.c.order_id == _TOLD.c.order_id)
    .values({one.name: _TOLD.c[one.name] for one in orders.c if not one.primary_key})
)


def contribution(event: OrderEvent) -> dict[str, Any]:
    """Return what an order counts for: its row in `orders`.

    What was never placed has no date, and is in no cell.
    """
    return {
        "org_id": event.org_id,
        "order_id": event.order_id,
        "customer_id": event.customer_id,
        "author_id": event.author_id,
        "author_keeps_view": event.is_view_kept,
        "credited_to": event.credited_to or HOUSE,
        "source": event.source,
        "order_date": event.order_date,
        "currency": event.currency,
        "state": event.state,
        "pieces": sum((line.quantity for line in event.lines), Decimal(0)),
        "net": event.net,
        "version": event.version,
    }


async def count(connection: AsyncConnection, events: Sequence[OrderEvent]) -> None:
    """Count orders of one organization by these events, but those that are counted by later ones."""
    newest = {one.order_id: one for one in sorted(events, key=lambda one: one.version)}
    rows = [contribution(newest[order_id]) for order_id in sorted(newest)]
    [org_id] = {row["org_id"] for row in rows}
    await _keep_recounts_out(connection, org_id)
    total: dict[_Cell, _Figures] = {}
    for old, new in await _replaced(connection, org_id, rows):
        for cell, figures in moves(old, new).items():
            total[cell] = _sum(total.get(cell, _NOTHING), figures)
    await _move(
        connection, org_id, {cell: total[cell] for cell in sorted(total) if any(total[cell])}
    )


async def _replaced(
    connection: AsyncConnection, org_id: UUID, rows: Sequence[Row]
) -> list[tuple[Row, Row]]:
    """Write the orders' rows; return what was there of each, empty for none, with what is there now.

    What is older than what is there is neither written nor returned.
    """
    inserted = await connection.execute(_COUNT, _bound(rows, orders.c.keys()))
    first = frozenset(inserted.scalars())
    told: list[tuple[Row, Row]] = [({}, row) for row in rows if row["order_id"] in first]
    known = {row["order_id"]: row for row in rows if row["order_id"] not in first}
    if known:
        bound = {"of_org": org_id, "order_ids": list(known)}
        found = (await connection.execute(_COUNTED, bound)).mappings()
        again = [(dict(old), known[old["order_id"]]) for old in found]
        again = [(old, new) for old, new in again if old["version"] <= new["version"]]
        if again:
            changed = _bound([new for _, new in again], orders.c.keys())
            await connection.execute(_COUNT_ANEW, changed)
        told += again
    return told


def moves(old: Row, new: Row) -> dict[_Cell, _Figures]:
    """Return by how much each cell changes: at most two, and one where the order stays in its cell."""
    moved: dict[_Cell, _Figures] = {}
    for sign, row in ((-1, old), (1, new)):
        if row.get("order_date") is not None:
            cell = tuple(row[name] for name in KEY)
            more = (sign, sign * row["pieces"], sign * row["net"])
            moved[cell] = _sum(moved.get(cell, _NOTHING), more)
    return {cell: figures for cell, figures in moved.items() if any(figures)}


def _sum(one: _Figures, other: _Figures) -> _Figures:
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2])


def _changed() -> Any:
    statement = insert(sales).from_select(sales.c.keys(), sa.select(_rows_of(sales.c)))
    return statement.on_conflict_do_update(
        index_elements=list(sales.primary_key.columns),
        set_={name: sales.c[name] + statement.excluded[name] for name in FIGURES},
    )


_CHANGE = _changed()
_LEFT = _rows_of(sales.primary_key.columns)
_DROP = (
    sales.delete()
    .where(
        *(one == _LEFT.c[one.name] for one in sales.primary_key.columns),
        sales.c.orders <= 0,
    )
    .returning(*(sales.c[name] for name in FIGURES))
)


async def _move(connection: AsyncConnection, org_id: UUID, total: Mapping[_Cell, _Figures]) -> None:
    """Add to each cell, in the order given, and drop those that no order is left in."""
    if not total:
        return
    rows: list[Row] = [
        {"org_id": org_id, **dict(zip((*KEY, *FIGURES), (*cell, *figures), strict=True))}
        for cell, figures in total.items()
    ]
    await connection.execute(_CHANGE, _bound(rows, sales.c.keys()))
    left = [row for row in rows if row["orders"] <= 0]
    if not left:
        return
    keys = [one.name for one in sales.primary_key.columns]
    dropped = await connection.execute(_DROP, _bound(left, keys))
    if any(any(row) for row in dropped):
        # It cannot be: an order that counted is in its cell. Whoever damaged it, `rebuild` mends it.
        log.error("cube.cell_damaged", org_id=str(org_id))


async def _keep_recounts_out(connection: AsyncConnection, org_id: UUID) -> None:
    await connection.exec_driver_sql(
        "SELECT pg_advisory_xact_lock_shared(hashtext('sales'), hashtext($1))", (str(org_id),)
    )


async def keep_counting_out(connection: AsyncConnection, org_id: UUID) -> None:
    """Return when nobody counts an order of the organization, until this transaction ends.

    Who counts waits behind who waits here. So waiting ends after `HOLD`, and from then on every statement
    and every silence: who froze, or is too slow, is cut off before who counts gives up.
    """
    await connection.exec_driver_sql(
        "SELECT set_config('lock_timeout', $2, true),"
        " pg_advisory_xact_lock(hashtext('sales'), hashtext($1)),"
        " set_config('statement_timeout', $2, true),"
        " set_config('idle_in_transaction_session_timeout', $2, true)",
        (str(org_id), HOLD),
    )
