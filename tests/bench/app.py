"""orders as it is, with two more routes: a list and a report by hand-written SQL, and nobody asked.

    uvicorn app:create --factory

`BENCH_UNASKED=1` replaces the policy client by one that allows everything without asking;
`BENCH_STALE=no` does not ask which customers the caller has lost in an act that is being written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI
from typing_extensions import override

from bailiwick_access.context import Reads
from bailiwick_kit.policy.client import Decision, Filter, Policy
from bailiwick_kit.policy.scope import Everybody
from bailiwick_kit.web.pages import Page
from bailiwick_orders import main
from bailiwick_orders.api import schemas
from bailiwick_orders.domain.views import Seen
from bailiwick_orders.settings import Settings
from bailiwick_orders.store import queries
from bailiwick_orders.store.rows import to_order

_BY_HAND = sa.text(
    """
    SELECT o.order_id, o.org_id, o.number, o.customer_id, o.customer_name, o.author_id, o.placed_by,
        o.credited_to, o.source, o.state, o.order_date, o.listed_at, o.placed_at, o.currency, o.net,
        o.imported, o.import_source, o.external_ref, o.version
    FROM visibility v JOIN orders o ON o.org_id = v.org_id AND o.order_id = v.order_id
    WHERE v.org_id = :org_id AND v.member_id = :member_id
      AND v.valid_from <= :now AND v.valid_to > :now
    ORDER BY v.listed_at DESC, v.order_id DESC LIMIT 51
    """
)

_SALES = """
    SELECT to_char(o.order_date, 'YYYY-MM') AS month, count(*) AS orders, sum(o.net)::text AS net
    FROM {} WHERE o.org_id = :org_id AND o.state IN ('placed', 'confirmed', 'fulfilled')
    GROUP BY month ORDER BY month
"""
_SALES_OF_ALL = sa.text(_SALES.format("orders o"))
_SALES_OF_ONE = sa.text(
    _SALES.format(
        """
        orders o JOIN visibility v ON v.org_id = o.org_id AND v.order_id = o.order_id
            AND v.member_id = :member_id AND v.valid_from <= :now AND v.valid_to > :now
        """
    )
)
_RELATED = {"main": True, "additional": False}

router = APIRouter()


@router.get("/bench/orders")
async def list_by_hand(reading: Reads) -> Page[schemas.OrderSummary]:
    """List as somebody would who writes the rule into the query."""
    bound = {
        "org_id": reading.caller.org_id,
        "member_id": reading.caller.member_id,
        "now": reading.caller.now,
    }
    rows = (await reading.connection.execute(_BY_HAND, bound)).mappings().all()
    found = (Seen(to_order(row), row["net"], _RELATED) for row in rows[:50])
    return Page(
        items=tuple(schemas.order_summary(seen, hides_customers=True) for seen in found),
        next_cursor=None,
    )


@router.get("/bench/sales")
async def report_by_hand(reading: Reads, *, mine: bool = False) -> dict[str, Any]:
    """Report as somebody would who has nothing but the orders: of all, or of a representative's."""
    bound: dict[str, object] = {"org_id": reading.caller.org_id}
    if mine:
        bound |= {"member_id": reading.caller.member_id, "now": reading.caller.now}
    statement = _SALES_OF_ONE if mine else _SALES_OF_ALL
    rows = (await reading.connection.execute(statement, bound)).mappings().all()
    return {"rows": [dict(row) for row in rows]}


class Unasked(Policy):
    """Allows everything without asking: what a request costs besides policy."""

    @override
    async def decide(self, package: str, document: Mapping[str, object]) -> Decision:
        """Allow."""
        return Decision(capable=True, visible=True, allow=True)

    @override
    async def filter(self, package: str, unknown: str, document: Mapping[str, object]) -> Filter:
        """Show everything."""
        return Filter(Everybody())


def create() -> FastAPI:
    """Build the application."""
    if os.environ.get("BENCH_UNASKED"):
        main.policy_of = lambda settings: Unasked(settings.policy_url)  # type: ignore[attr-defined] # put in its place
    if os.environ.get("BENCH_STALE") == "no":
        queries.LISTED = replace(queries.LISTED, stale=None)
    app = main.application(Settings.load())
    app.include_router(router)
    return app
