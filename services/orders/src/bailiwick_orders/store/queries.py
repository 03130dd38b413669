"""Reading orders: always through what the caller may see, never around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from bailiwick_access.caller import Caller
from bailiwick_access.requests import Reading
from bailiwick_access.visibility import FACTS, Listed, after_key
from bailiwick_kit.scope import Scope
from bailiwick_orders.actions.ports import Filters, Seen
from bailiwick_orders.store.rows import to_order
from bailiwick_orders.store.tables import assignments, orders, visibility

LISTED = Listed(entity="order", table=orders, visibility=visibility, columns=("state",))

_SUMMARY = [column for column in orders.columns if column.name not in {"lines", "note"}]
"""What a list reads: not the lines, which may be five hundred an order."""

_LAST = "~"
"""Comes after everything that a number is made of."""


class OrderQueries:
    """Reads orders through what a caller may see."""

    async def page(
        self,
        reading: Reading,
        scope: Scope,
        filters: Filters,
        *,
        limit: int,
        after: tuple[datetime, UUID] | None,
    ) -> list[Seen]:
        """Return up to `limit` orders, newest first, without lines and notes."""
        statement = _page(scope, filters, is_first=after is None)
        if statement is None:
            return []
        bound = {**_bound(reading.caller), **after_key(after), "limit": limit}
        found = await reading.connection.execute(statement, bound)
        return [_seen(row) for row in found.mappings()]

    async def count(self, reading: Reading, scope: Scope, filters: Filters) -> int:
        """Return exactly how many there are (D13)."""
        statement = _count(scope, filters)
        if statement is None:
            return 0
        found = await reading.connection.execute(statement, _bound(reading.caller))
        return int(found.scalar_one())

    async def one(self, reading: Reading, order_id: UUID) -> Seen | None:
        """Return an order with the caller's facts, to be decided on."""
        bound = {**_bound(reading.caller), "id": order_id}
        row = (await reading.connection.execute(_ONE, bound)).mappings().first()
        if row is None:
            return None
        seen = _seen(row)
        facts = {
            **seen.facts,
            "org_id": str(row["org_id"]),
            "state": row["state"],
            "relation_state": row["relation_state"],
        }
        return Seen(seen.order, seen.net, facts)


@lru_cache(maxsize=1024)
def _page(scope: Scope, filters: Filters, *, is_first: bool) -> sa.Select[Any] | None:
    rows = LISTED.rows(scope, is_first=is_first)
    if rows is None:
        return None
    facts = [rows.selected_columns[_named(fact)] for fact in FACTS]
    narrowed = _narrowed(rows, filters).with_only_columns(*_SUMMARY, *facts)
    return narrowed.limit(sa.bindparam("limit", type_=sa.Integer))


@lru_cache(maxsize=1024)
def _count(scope: Scope, filters: Filters) -> sa.Select[int] | None:
    rows = LISTED.rows(scope)
    if rows is None:
        return None
    return LISTED.counted(_narrowed(rows, filters).with_only_columns(orders.c.order_id))


def _bound(caller: Caller) -> dict[str, object]:
    return {"org_id": caller.org_id, "member_id": caller.member_id, "now": caller.now}


def _named(fact: str) -> str:
    return f"fact_{fact}"


def _seen(row: RowMapping) -> Seen:
    facts: Mapping[str, object] = {fact: row[_named(fact)] for fact in FACTS}
    return Seen(to_order(row), row["net"], facts)


def _narrowed(rows: sa.Select[Any], filters: Filters) -> sa.Select[Any]:
    if filters.customer_id is not None and filters.hides_customers:
        # A masked customer must not be found out by asking for it.
        facts = (rows.selected_columns[_named(fact)] for fact in ("main", "additional"))
        rows = rows.having(sa.or_(*(fact.element for fact in facts)))
    return rows.where(*_conditions(filters))


def _conditions(filters: Filters) -> Iterable[sa.ColumnElement[bool]]:
    for name in ("customer_id", "source", "author_id", "placed_by", "credited_to"):
        wanted = getattr(filters, name)
        if wanted is not None:
            yield orders.c[name] == wanted
    if filters.states:
        yield orders.c.state.in_(filters.states)
    if filters.order_date_from is not None:
        yield orders.c.order_date >= filters.order_date_from
    if filters.order_date_to is not None:
        yield orders.c.order_date <= filters.order_date_to
    if filters.number is not None:
        first = filters.number.upper()
        bounds = (sa.literal(first, sa.Text()), sa.literal(first + _LAST, sa.Text()))
        yield orders.c.number.between(bounds[0], bounds[1])


_now = sa.bindparam("now", type_=sa.DateTime(timezone=True))
_mine = sa.and_(
    assignments.c.org_id == orders.c.org_id,
    assignments.c.customer_id == orders.c.customer_id,
    assignments.c.member_id == sa.bindparam("member_id", type_=sa.Uuid),
    assignments.c.valid_from < assignments.c.valid_to,
)
_RELATION_STATE = sa.case(
    (
        sa.exists().where(_mine, assignments.c.valid_from <= _now, assignments.c.valid_to > _now),
        "current",
    ),
    (sa.exists().where(_mine, assignments.c.valid_to <= _now), "ended"),
    (sa.exists().where(_mine), "future"),
    else_="none",
)

_ONE = LISTED.one().add_columns(_RELATION_STATE.label("relation_state"))
