"""Which visibility rows have ended though they do not say so yet: of a large act that is being written.

The assignments of an act are there at once; what follows from them for each order comes in pieces (ADR 17).
Whoever has lost a customer must not read its orders meanwhile (D18), so every read asks this, too.
"""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_orders.store.tables import assignments, fan_outs, orders

_org_id = sa.bindparam("org_id", type_=sa.Uuid)
_now = sa.bindparam("now", type_=sa.DateTime(timezone=True))


def overtaken(visible: sa.Table) -> sa.ColumnElement[bool]:
    """Return whether a visibility row comes from an assignment that has ended and is being written."""
    return sa.and_(_ANY, _of_one_that_ended(visible))


def _written(ended: sa.FromClause) -> sa.Join:
    """Join assignments with what is being written of them."""
    is_it = (ended.c[name] == fan_outs.c[name] for name in ("org_id", "assignment_id"))
    return fan_outs.join(ended, sa.and_(fan_outs.c.org_id == _org_id, *is_it))


def _any_of_the_callers() -> sa.ColumnElement[bool]:
    # It names no row, so PostgreSQL asks it once a statement: by key, in a table that is nearly always empty.
    ended = assignments.alias()
    is_theirs = ended.c.member_id == sa.bindparam("member_id", type_=sa.Uuid)
    found = sa.select(sa.literal(1)).select_from(_written(ended))
    return sa.exists(found.where(is_theirs, ended.c.valid_to <= _now).correlate(None))


_ANY = _any_of_the_callers()


def _of_one_that_ended(visible: sa.Table) -> sa.ColumnElement[bool]:
    order, ended, held = orders.alias(), assignments.alias(), assignments.alias()
    key = ("member_id", "relation", "valid_from")
    # Two assignments may share a row: the later end holds, as where the row is written.
    holds_on = sa.exists().where(
        *(held.c[name] == ended.c[name] for name in ("org_id", "customer_id", *key)),
        held.c.valid_to > _now,
    )
    is_its = (order.c[name] == ended.c[name] for name in ("org_id", "customer_id"))
    found = sa.select(sa.literal(1)).select_from(_written(ended).join(order, sa.and_(*is_its)))
    return sa.exists(
        found.where(
            order.c.order_id == visible.c.order_id,
            *(ended.c[name] == visible.c[name] for name in key),
            sa.not_(holds_on),
        ).correlate(visible)
    )
