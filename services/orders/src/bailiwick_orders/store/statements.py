"""Statements that write all that an act changes at once: one round trip to the disk (D23).

Each is built once; only what is bound to it differs, so that no plan is made twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from bailiwick_kit.clock import END_OF_TIME
from bailiwick_kit.telemetry.trace import trace_parent
from bailiwick_orders.domain.change import Change, Happening
from bailiwick_orders.domain.order import Order
from bailiwick_orders.store.rows import line_rows, order_event, order_row
from bailiwick_orders.store.tables import (
    assignments,
    audit,
    order_versions,
    orders,
    outbox,
    visibility,
)

_OUTBOX = ("event_id", "org_id", "subject", "type", "body", "trace_parent", "recipient", "bulk")
_FIXED = frozenset({"org_id", "order_id", "number", "customer_id", "author_id", "listed_at"})


def _bound(table: sa.Table, names: Iterable[str]) -> dict[str, sa.BindParameter[Any]]:
    return {name: sa.bindparam(f"{table.name}_{name}", type_=table.c[name].type) for name in names}


def _insert(table: sa.Table, names: Iterable[str] | None = None) -> sa.Insert:
    return table.insert().values(_bound(table, names or table.columns.keys()))


def _at_once(**writes: sa.Insert | sa.Update) -> sa.Select[int]:
    return sa.select(sa.literal(1)).add_cte(*(write.cte(name) for name, write in writes.items()))


def _made_visible() -> sa.Insert:
    """Write an author row that never ends, and one for each assignment not over yet (D11)."""
    order = _bound(orders, ("org_id", "order_id", "listed_at", "customer_id", "author_id"))
    author = sa.select(
        order["org_id"],
        order["author_id"],
        order["listed_at"],
        order["order_id"],
        sa.literal("author"),
        order["listed_at"],
        sa.literal(END_OF_TIME, sa.DateTime(timezone=True)),
    )
    representatives = (
        sa.select(
            order["org_id"],
            assignments.c.member_id,
            order["listed_at"],
            order["order_id"],
            assignments.c.relation,
            assignments.c.valid_from,
            sa.func.max(assignments.c.valid_to),
        )
        .where(
            assignments.c.org_id == order["org_id"],
            assignments.c.customer_id == order["customer_id"],
            assignments.c.valid_to > sa.bindparam("now", type_=sa.DateTime(timezone=True)),
        )
        .group_by(assignments.c.member_id, assignments.c.relation, assignments.c.valid_from)
    )
    names = [column.name for column in visibility.columns]
    return visibility.insert().from_select(names, sa.union_all(author, representatives))


def _all_made_visible() -> sa.Insert:
    """Write the same for many orders at once, which are there already: for imports."""
    made = sa.and_(
        orders.c.org_id == sa.bindparam("org_id", type_=sa.Uuid),
        orders.c.order_id == sa.any_(sa.bindparam("order_ids", type_=sa.ARRAY(sa.Uuid))),
    )
    author = sa.select(
        *orders.c["org_id", "author_id", "listed_at", "order_id"],
        sa.literal("author"),
        orders.c.listed_at,
        sa.literal(END_OF_TIME, sa.DateTime(timezone=True)),
    ).where(made)
    key = (
        orders.c.org_id,
        assignments.c.member_id,
        orders.c.listed_at,
        orders.c.order_id,
        assignments.c.relation,
        assignments.c.valid_from,
    )
    representatives = (
        sa.select(*key, sa.func.max(assignments.c.valid_to))
        .join_from(
            orders,
            assignments,
            sa.and_(
                assignments.c.org_id == orders.c.org_id,
                assignments.c.customer_id == orders.c.customer_id,
            ),
        )
        .where(made, assignments.c.valid_to > sa.bindparam("now", type_=sa.DateTime(timezone=True)))
        .group_by(*key)
    )
    names = [column.name for column in visibility.columns]
    return visibility.insert().from_select(names, sa.union_all(author, representatives))


def _changed(fixed: Collection[str] = _FIXED) -> sa.Update:
    key = _bound(orders, ("org_id", "order_id"))
    changing = [name for name in orders.columns.keys() if name not in fixed]  # noqa: SIM118
    return (
        orders.update()
        .where(orders.c.org_id == key["org_id"], orders.c.order_id == key["order_id"])
        .values(_bound(orders, changing))
    )


ADD = _at_once(
    written=_insert(orders),
    visible=_made_visible(),
    audited=_insert(audit),
    told=_insert(outbox, _OUTBOX),
)
SAVE = _at_once(written=_changed(), audited=_insert(audit), told=_insert(outbox, _OUTBOX))
SAVE_EDIT = _at_once(
    written=_changed(),
    kept=_insert(order_versions),
    audited=_insert(audit),
    told=_insert(outbox, _OUTBOX),
)
MADE_VISIBLE = _all_made_visible()
NOT_VISIBLE = visibility.delete().where(
    visibility.c.org_id == sa.bindparam("org_id", type_=sa.Uuid),
    visibility.c.order_id == sa.any_(sa.bindparam("order_ids", type_=sa.ARRAY(sa.Uuid))),
)
"""Takes the visibility of orders away: for imports that write it anew, as they may be listed elsewhere."""
REWRITE = _changed(_FIXED - {"listed_at"})
"""Writes an order as its source has it by now."""


def bound_to(order: Order, change: Change, *, before: Order | None = None) -> dict[str, Any]:
    """Return what the statements bind; `before` is what an edit replaces."""
    bound = {
        **named(orders, order_row(order)),
        **named(audit, audit_row(order, change)),
        **named(outbox, outbox_row(order, change)),
        "now": change.at,
    }
    if before is not None:
        bound |= named(order_versions, version_row(before, change))
    return bound


def is_edit(change: Change) -> bool:
    """Tell whether what was before is kept as a version of its own."""
    return change.happening is Happening.EDITED


def audit_row(order: Order, change: Change) -> dict[str, Any]:
    """Return the audit row of a change; no personal data, so no reason either (D24)."""
    return {
        "org_id": order.org_id,
        "audit_id": uuid7(),
        "at": change.at,
        "member_id": change.by,
        "action": f"order.{change.happening}",
        "entity_id": order.order_id,
        "details": {"version": order.version},
    }


def outbox_row(
    order: Order, change: Change, recipient: str | None = None, *, bulk: bool = False
) -> dict[str, Any]:
    """Return the outbox row that tells of a change.

    `recipient` is the one queue to get it (D19). `bulk` goes beside what people do now (ADR 15).
    """
    event = order_event(order, change)
    return {
        "event_id": uuid7(),
        "org_id": event.org_id,
        "subject": event.subject,
        "type": event.type,
        "body": event.model_dump_json().encode(),
        "trace_parent": trace_parent(),
        "recipient": recipient,
        "bulk": bulk,
    }


def version_row(before: Order, change: Change) -> dict[str, Any]:
    """Return what an edit replaced."""
    return {
        "org_id": before.org_id,
        "order_id": before.order_id,
        "version": before.version,
        "lines": line_rows(before.lines),
        "net": before.net,
        "note": before.note,
        "replaced_at": change.at,
        "replaced_by": change.by,
        "reason": change.reason,
    }


def named(table: sa.Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's values by the names under which statements bind them."""
    return {f"{table.name}_{name}": value for name, value in row.items()}
