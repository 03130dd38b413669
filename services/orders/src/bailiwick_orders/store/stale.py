"""Which visibility rows have ended though they do not say so yet: of a large act that is being written.

The assignments of an act are there at once; what follows from them for each order comes in pieces (ADR 17).
Whoever has lost a customer must not read its orders meanwhile (D18). So every read asks whether an act of
the organization is being written, and if so, of each row whether its assignment holds.
"""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_orders.store.tables import assignments, fan_outs, orders

_org_id = sa.bindparam("org_id", type_=sa.Uuid)
_now = sa.bindparam("now", type_=sa.DateTime(timezone=True))


def stale(visible: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return whether a visibility row is of an assignment that has ended while acts are being written."""
    is_of_assignment = visible.c.relation.in_(("main", "additional"))
    return sa.and_(_ANY, is_of_assignment, sa.not_(_held(visible)))


# It names no row, so PostgreSQL asks it once a statement: by key, in a table that is nearly always empty.
_ANY = sa.exists(sa.select(sa.literal(1)).where(fan_outs.c.org_id == _org_id).correlate(None))


def _held(visible: sa.FromClause) -> sa.ColumnElement[bool]:
    # Two assignments may share a row: the later end holds, as where the row is written.
    order, held = orders.alias(), assignments.alias()
    is_its = (order.c[name] == held.c[name] for name in ("org_id", "customer_id"))
    key = ("member_id", "relation", "valid_from")
    found = sa.select(sa.literal(1)).select_from(held.join(order, sa.and_(*is_its)))
    return sa.exists(
        found.where(
            order.c.org_id == _org_id,
            order.c.order_id == visible.c.order_id,
            *(held.c[name] == visible.c[name] for name in key),
            held.c.valid_to > _now,
        ).correlate(visible)
    )
