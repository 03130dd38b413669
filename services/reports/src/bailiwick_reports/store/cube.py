"""Keeps what each order counts for, and the sums of that by everything that a report asks (D11).

An event tells the whole order, so all of them are taken alike: what the order counted for by its last
event leaves the cube and what it counts for by this one enters it, in one transaction. A lower version
is ignored; the same version is counted again, which changes nothing, or mends the row where it was
damaged. So it all comes to the same in whatever order events arrive, and however often.

Nobody relies on there being one consumer. Who counts takes the order's row first, then cells of the cube
in the order of their keys, so that no two wait for each other. Who recounts keeps all who count out of
the organization meanwhile, by the advisory lock that they share; who reads is not held up, and sees the
cube as it was until all of it is committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.envelope import Event
from bailiwick_contracts.orders import OrderEvent
from bailiwick_reports.store.tables import HOUSE, orders, sales

log = structlog.get_logger(__name__)

KEY = ("customer_id", "author_id", "credited_to", "source", "order_date", "currency", "state")
"""What tells one cell of the cube from another, within an organization."""
FIGURES = ("orders", "pieces", "net")
"""What a cell holds."""

Row = Mapping[str, Any]
_Cell = tuple[Any, ...]

_org_id = sa.bindparam("org_id", type_=sa.Uuid)

_COUNTED = (
    sa.select(orders)
    .where(orders.c.org_id == _org_id, orders.c.order_id == sa.bindparam("order_id", type_=sa.Uuid))
    .with_for_update()
)
_COUNT = insert(orders).on_conflict_do_nothing().returning(orders.c.version)
_COUNT_ANEW = orders.update().where(
    orders.c.org_id == sa.bindparam("of_org", type_=sa.Uuid),
    orders.c.order_id == sa.bindparam("of_order", type_=sa.Uuid),
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


async def count(connection: AsyncConnection, event: Event) -> None:
    """Count an order by this event, unless it is counted by a later one."""
    assert isinstance(event, OrderEvent)  # noqa: S101  # the catalogue holds it
    await _keep_recounts_out(connection, event.org_id)
    new = contribution(event)
    old = await _replaced(connection, new)
    if old is not None:
        for cell, figures in sorted(moves(old, new).items()):
            await _move(connection, event.org_id, cell, figures)


async def _replaced(connection: AsyncConnection, new: dict[str, Any]) -> Row | None:
    """Write the order's row and return what was there: nothing, or what it counted for.

    Returns None where what is there is newer.
    """
    key = {"org_id": new["org_id"], "order_id": new["order_id"]}
    while True:
        old = (await connection.execute(_COUNTED, key)).mappings().first()
        if old is not None:
            if old["version"] > new["version"]:
                return None
            bound = {"of_org": new["org_id"], "of_order": new["order_id"]}
            changed = {name: value for name, value in new.items() if name not in key}
            await connection.execute(_COUNT_ANEW, {**bound, **changed})
            return dict(old)
        if (await connection.execute(_COUNT, new)).first() is not None:
            return {}
        # Somebody has just written it: now there is a row to wait for.


def moves(old: Row, new: Row) -> dict[_Cell, tuple[int, Decimal, Decimal]]:
    """Return by how much each cell changes: at most two, and one where the order stays in its cell."""
    moved: dict[_Cell, tuple[int, Decimal, Decimal]] = {}
    for sign, row in ((-1, old), (1, new)):
        if row.get("order_date") is not None:
            cell = tuple(row[name] for name in KEY)
            count, pieces, net = moved.get(cell, (0, Decimal(0), Decimal(0)))
            moved[cell] = (count + sign, pieces + sign * row["pieces"], net + sign * row["net"])
    return {cell: figures for cell, figures in moved.items() if any(figures)}


def _is_cell() -> sa.ColumnElement[bool]:
    return sa.and_(
        sales.c.org_id == sa.bindparam("of_org", type_=sa.Uuid),
        *(sales.c[name] == sa.bindparam(f"of_{name}", type_=sales.c[name].type) for name in KEY),
    )


def _added() -> Any:
    statement = insert(sales)
    return statement.on_conflict_do_update(
        index_elements=list(sales.primary_key.columns),
        set_={name: sales.c[name] + statement.excluded[name] for name in FIGURES},
    )


_ADD = _added()
_CHANGE = (
    sales.update()
    .where(_is_cell())
    .values(
        {
            name: sales.c[name] + sa.bindparam(f"more_{name}", type_=sales.c[name].type)
            for name in FIGURES
        }
    )
    .returning(sales.c.orders)
)
_DROP = sales.delete().where(_is_cell())


async def _move(
    connection: AsyncConnection, org_id: UUID, cell: _Cell, figures: tuple[int, Decimal, Decimal]
) -> None:
    named: dict[str, Any] = dict(zip(FIGURES, figures, strict=True))
    key = dict(zip(KEY, cell, strict=True))
    if named["orders"] > 0:
        await connection.execute(_ADD, {"org_id": org_id, **key, **named})
        return
    of = {"of_org": org_id, **{f"of_{name}": value for name, value in key.items()}}
    more = {f"more_{name}": value for name, value in named.items()}
    left = (await connection.execute(_CHANGE, {**of, **more})).scalar()
    if left is None:
        # It cannot be: an order that counted is in its cell. Whoever damaged it, `rebuild` mends it.
        log.error("cube.cell_missing", org_id=str(org_id))
    elif left == 0:
        await connection.execute(_DROP, of)


async def _keep_recounts_out(connection: AsyncConnection, org_id: UUID) -> None:
    await connection.exec_driver_sql(
        "SELECT pg_advisory_xact_lock_shared(hashtext('sales'), hashtext($1))", (str(org_id),)
    )


async def keep_counting_out(connection: AsyncConnection, org_id: UUID) -> None:
    """Return when nobody counts an order of the organization, until this transaction ends."""
    await connection.exec_driver_sql(
        "SELECT pg_advisory_xact_lock(hashtext('sales'), hashtext($1))", (str(org_id),)
    )
