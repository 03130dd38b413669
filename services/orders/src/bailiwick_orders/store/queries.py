"""Reading orders: always through what the caller may see, never around it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.assignments import relation_state
from bailiwick_access.caller import Caller
from bailiwick_access.requests import Reading
from bailiwick_access.visibility import FACTS, Listed, after_key
from bailiwick_kit.database.engine import plan_for_values
from bailiwick_kit.policy.scope import Nobody, Scope
from bailiwick_orders.domain.views import EarlierVersion, Filters, Seen
from bailiwick_orders.store.customer_names import find, find_in_sight
from bailiwick_orders.store.filters import asked, begins, narrowed
from bailiwick_orders.store.rows import to_earlier_version, to_order
from bailiwick_orders.store.stale import stale
from bailiwick_orders.store.tables import assignments, order_versions, orders, visibility

LISTED = Listed(
    entity="order",
    table=orders,
    visibility=visibility,
    columns=("state", "author_keeps_view"),
    stale=stale,
)

_SUMMARY = [column for column in orders.columns if column.name not in {"lines", "note"}]
"""What a list reads: not the lines, which may be five hundred an order."""


_LATEST = 2**31 - 1
"""Comes after every version."""


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
        conditions = await _asked(reading, scope, filters)
        statement = _page(scope, frozenset(conditions), is_first=after is None)
        if statement is None:
            return []
        paging = {**after_key(after), "limit": limit}
        bound = _bound(reading.caller, *conditions.values(), paging)
        if conditions:
            await plan_for_values(reading.connection)
        found = await reading.connection.execute(statement, bound)
        return [_seen(row) for row in found.mappings()]

    async def count(self, reading: Reading, scope: Scope, filters: Filters) -> int:
        """Return exactly how many there are (D13)."""
        conditions = await _asked(reading, scope, filters)
        statement = _count(scope, frozenset(conditions))
        if statement is None:
            return 0
        bound = _bound(reading.caller, *conditions.values())
        await plan_for_values(reading.connection)
        found = await reading.connection.execute(statement, bound)
        return int(found.scalar_one())

    async def facts(self, reading: Reading, order_id: UUID) -> Mapping[str, object] | None:
        """Return what policy is told of an order and the caller. It takes as long where there is none."""
        return await order_facts(reading.connection, _bound(reading.caller, {"id": order_id}))

    async def one(self, reading: Reading, order_id: UUID) -> Seen | None:
        """Return an order that the caller may view."""
        bound = _bound(reading.caller, {"id": order_id})
        row = (await reading.connection.execute(_ONE, bound)).mappings().first()
        return None if row is None else _seen(row)

    async def earlier_versions(
        self, reading: Reading, order_id: UUID, *, limit: int, before: int | None
    ) -> list[EarlierVersion]:
        """Return up to `limit` earlier versions of an order that may be viewed, latest first."""
        bound = {
            "org_id": reading.caller.org_id,
            "order_id": order_id,
            "before": _LATEST if before is None else before,
            "limit": limit,
        }
        found = await reading.connection.execute(_EARLIER, bound)
        return [to_earlier_version(row) for row in found.mappings()]


async def order_facts(
    connection: AsyncConnection, bound: Mapping[str, object]
) -> Mapping[str, object] | None:
    """Return what policy is told of an order and a member; binds what `LISTED.one` does."""
    row = (await connection.execute(_FACTS, bound)).mappings().first()
    if row is None:
        return None
    return {
        **{fact: row[_named(fact)] for fact in FACTS},
        "org_id": str(row["org_id"]),
        "state": row["state"],
        "author_keeps_view": row["author_keeps_view"],
        "relation_state": row["relation_state"],
    }


async def _asked(
    reading: Reading, scope: Scope, filters: Filters
) -> Mapping[str, Mapping[str, object]]:
    """Return the names of the conditions that are asked for, and what each of them binds."""
    conditions = asked(filters)
    if filters.text is None or isinstance(scope, Nobody):
        return conditions
    await plan_for_values(reading.connection)
    how = find_in_sight if LISTED.reads_visibility(scope) else find
    sought = await how(reading.connection, reading.caller, filters.text)
    return {**conditions, sought.by: {**sought.bound, **begins(filters.text)}}


@lru_cache(maxsize=1024)
def _page(scope: Scope, names: frozenset[str], *, is_first: bool) -> sa.Select[Any] | None:
    rows = LISTED.rows(scope, is_first=is_first)
    if rows is None:
        return None
    facts = [rows.selected_columns[_named(fact)] for fact in FACTS]
    limited = narrowed(rows, names, LISTED, scope).limit(sa.bindparam("limit", type_=sa.Integer))
    return limited.with_only_columns(*_SUMMARY, *facts)


@lru_cache(maxsize=1024)
def _count(scope: Scope, names: frozenset[str]) -> sa.Select[int] | None:
    if not names:
        return LISTED.count(scope)
    rows = LISTED.rows(scope)
    if rows is None:
        return None
    found = narrowed(rows, names, LISTED, scope)
    return LISTED.counted(found.with_only_columns(orders.c.order_id))


def _bound(caller: Caller, *values: Mapping[str, object]) -> dict[str, object]:
    bound: dict[str, object] = {
        "org_id": caller.org_id,
        "member_id": caller.member_id,
        "now": caller.now,
    }
    return bound | {name: value for each in values for name, value in each.items()}


def _named(fact: str) -> str:
    return f"fact_{fact}"


def _seen(row: RowMapping) -> Seen:
    facts: Mapping[str, object] = {fact: row[_named(fact)] for fact in FACTS}
    return Seen(to_order(row), row["net"], facts)


_RELATION_STATE = relation_state(assignments, orders)
_ONE = LISTED.one()
_FACTS = _ONE.with_only_columns(
    *orders.c["org_id", "state", "author_keeps_view"],
    *(_ONE.selected_columns[_named(fact)] for fact in FACTS),
    _RELATION_STATE.label("relation_state"),
)

_EARLIER = (
    sa.select(order_versions)
    .where(
        order_versions.c.org_id == sa.bindparam("org_id", type_=sa.Uuid),
        order_versions.c.order_id == sa.bindparam("order_id", type_=sa.Uuid),
        order_versions.c.version < sa.bindparam("before", type_=sa.Integer),
    )
    .order_by(order_versions.c.version.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer))
)
