"""An act that waits for an order or a customer is decided by rights that hold when its turn comes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

import httpx2
import pytest
import sqlalchemy as sa

from bailiwick_kit.database import Database
from bailiwick_orders.store import tables
from bailiwick_testkit.market import Market, an_order
from bailiwick_testkit.people import Person
from bailiwick_testkit.waiting import until


async def waits(api: Database) -> bool:
    """Tell whether anybody waits for a lock in the service's database."""
    async with api.reading(None) as connection:  # a role sees its own sessions only
        found = await connection.exec_driver_sql(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(found.scalar_one())


async def acted(
    market: Market,
    who: Person,
    act: Coroutine[Any, Any, httpx2.Response],
    locked: sa.Select[Any],
    **taken: Any,
) -> httpx2.Response:
    """Let an act wait for a lock, change its caller's membership meanwhile, and return its answer."""
    api = Database(market.shop.urls.api, pool=2)
    async with api.writing(market.shop.org_id) as connection:
        await connection.execute(locked.with_for_update())
        acting = asyncio.create_task(act)
        await until(lambda: waits(api))
        await market.shop.member(member_id=who.member_id, **taken)
    await api.close()
    return await acting


@pytest.mark.parametrize(
    ("taken", "status", "code"),
    [
        ({"role": "sales_manager", "status": "inactive"}, 403, "account-inactive"),
        ({"role": "custom_member"}, 403, "capability-missing"),
        ({"role": "sales_administrator"}, 503, "rights-changed"),
        ({"role": "sales_manager", "name": "Omar Renamed"}, 200, None),
    ],
    ids=["left", "reduced", "changed", "renamed"],
)
async def test_an_act_is_decided_by_the_rights_that_hold_once_its_order_is_locked(
    market: Market, taken: dict[str, Any], status: int, code: str | None
) -> None:
    omar = await market.shop.member("sales_manager")
    customer = await market.customer()
    order = await market.order(omar, customer)
    table = tables.orders
    locked = sa.select(table).where(table.c.order_id == UUID(order["order_id"]))
    path = f"/v1/orders/{order['order_id']}"

    answer = await acted(
        market, omar, market.shop.api.patch(omar, path, {"note": "Mine"}, "*"), locked, **taken
    )

    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    mia = await market.shop.member("brand_manager")
    now = (await market.shop.api.get(mia, path)).json()
    assert now["note"] == ("Mine" if status == 200 else order["note"])


async def test_an_order_is_created_by_the_rights_that_hold_once_its_customer_is_locked(
    market: Market,
) -> None:
    omar = await market.shop.member("sales_manager")
    customer = await market.customer()
    table = tables.customers
    locked = sa.select(table).where(table.c.customer_id == customer)

    create = market.shop.api.post(omar, "/v1/orders", an_order(customer))
    answer = await acted(market, omar, create, locked, role="sales_manager", status="inactive")

    assert (answer.status_code, answer.json()["code"]) == (403, "account-inactive")
