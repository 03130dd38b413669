"""Counts what reports count, from the orders themselves: for `reports verify` to compare with (D11, V8)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import RowMapping

from bailiwick_kit.database.engine import Database
from bailiwick_orders.store.tables import orders

BATCH = 5_000
"""Orders counted at once, and what is left of the last one's customer."""
_FIRST = UUID(int=0)

_KEY = (
    orders.c.customer_id,
    orders.c.author_id,
    orders.c.credited_to,
    orders.c.source,
    orders.c.order_date,
    orders.c.currency,
    orders.c.state,
)


def _counted() -> sa.Select[Any]:
    line = sa.func.jsonb_array_elements(orders.c.lines).table_valued(
        sa.column("value", JSONB), name="line"
    )
    quantity = sa.cast(line.c.value["quantity"].astext, sa.Numeric)
    pieces = sa.select(sa.func.sum(quantity)).select_from(line).correlate(orders).scalar_subquery()
    following = (
        sa.select(orders.c.customer_id)
        .where(
            orders.c.org_id == sa.bindparam("org_id", type_=sa.Uuid),
            orders.c.customer_id > sa.bindparam("after", type_=sa.Uuid),
            orders.c.order_date.is_not(None),
        )
        .order_by(orders.c.customer_id)
        .limit(sa.bindparam("batch", type_=sa.Integer))
        .subquery("following")
    )
    # PostgreSQL 15 knows no max(uuid).
    last = (
        sa.select(following.c.customer_id)
        .order_by(following.c.customer_id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return (
        sa.select(
            *_KEY,
            sa.func.count().label("orders"),
            sa.func.sum(pieces).label("pieces"),
            sa.func.sum(orders.c.net).label("net"),
        )
        .where(
            orders.c.org_id == sa.bindparam("org_id", type_=sa.Uuid),
            orders.c.customer_id > sa.bindparam("after", type_=sa.Uuid),
            orders.c.customer_id <= last,
            orders.c.order_date.is_not(None),
        )
        .group_by(*_KEY)
        # By code point, so that the order is the same whatever the database's own.
        .order_by(*(sa.collate(one, "C") if isinstance(one.type, sa.Text) else one for one in _KEY))
    )


_COUNTED = _counted()


class Tally:
    """Counts an organization's placed orders, as the worker."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rows(self, org_id: UUID) -> AsyncIterator[Mapping[str, object]]:
        """Yield the sums under each key that there is, in the order of the key; the house comes last.

        Of a customer all is from one instant; between customers orders may have changed. What was never
        placed is in no sum. Decimals are exact, as strings.
        """
        after = _FIRST
        while True:
            async with self._database.reading(org_id) as connection:
                bound = {"org_id": org_id, "after": after, "batch": BATCH}
                found = (await connection.execute(_COUNTED, bound)).mappings().all()
            for row in found:
                yield _told(row)
            if not found:
                return
            after = found[-1]["customer_id"]


def _told(row: RowMapping) -> Mapping[str, object]:
    credited_to = row["credited_to"]
    return {
        "customer_id": str(row["customer_id"]),
        "author_id": str(row["author_id"]),
        "credited_to": str(credited_to) if credited_to else None,
        "source": row["source"],
        "order_date": row["order_date"].isoformat(),
        "currency": row["currency"],
        "state": row["state"],
        "orders": row["orders"],
        "pieces": format(row["pieces"], "f"),
        "net": format(row["net"], "f"),
    }
