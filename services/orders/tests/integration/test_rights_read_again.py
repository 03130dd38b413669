"""An act that waits for an order or a customer is decided by rights that hold when its turn comes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
import sqlalchemy as sa

from bailiwick_kit.database.engine import Database
from bailiwick_orders.store import tables
from bailiwick_orders.store.replica import CustomersReplica
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.orders import OrdersService, an_order
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
    market: OrdersService,
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
    market: OrdersService, taken: dict[str, Any], status: int, code: str | None
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
    market: OrdersService,
) -> None:
    omar = await market.shop.member("sales_manager")
    customer = await market.customer()
    table = tables.customers
    locked = sa.select(table).where(table.c.customer_id == customer)

    create = market.shop.api.post(omar, "/v1/orders", an_order(customer))
    answer = await acted(market, omar, create, locked, role="sales_manager", status="inactive")

    assert (answer.status_code, answer.json()["code"]) == (403, "account-inactive")


@pytest.mark.parametrize("verb", ["edit", "place", "cancel"])
async def test_an_act_on_an_order_whose_customer_was_lost_meanwhile_is_refused(
    market: OrdersService, verb: str
) -> None:
    ana = await market.shop.member("sales_representative")
    bruno = await market.shop.member("sales_representative")
    customer = market.customers.customer("Sol")
    held = market.customers.assign(customer, ana.member_id)
    await market.tell()
    order = await market.order(ana, customer, place=verb != "place")
    act = market.act(ana, order["path"], verb)
    if verb == "edit":
        act.close()
        act = market.shop.api.patch(ana, order["path"], {"note": "Mine"}, "*")
    table = tables.orders
    locked = sa.select(table).where(table.c.order_id == UUID(order["order_id"])).with_for_update()
    api = Database(market.shop.urls.api, pool=2)
    async with api.writing(market.shop.org_id) as connection:
        await connection.execute(locked)
        acting = asyncio.create_task(act)
        await until(lambda: waits(api))
        lost_at = datetime.now(UTC) + timedelta(seconds=0.2)
        market.customers.hand_over(held, bruno.member_id, lost_at)
        await market.tell()
        await asyncio.sleep(0.3)  # it is lost by time, and nothing tells when
    await api.close()
    # The draft is gone from Ana's sight; what she placed she may still view.
    assert (await acting).status_code == (404 if verb == "place" else 403)
    mia = await market.shop.member("brand_manager")
    now = (await market.shop.api.get(mia, order["path"])).json()
    assert (now["version"], now["state"]) == (order["version"], order["state"])


async def test_no_order_is_created_for_a_customer_that_was_lost_meanwhile(
    market: OrdersService,
) -> None:
    ana = await market.shop.member("sales_representative")
    bruno = await market.shop.member("sales_representative")
    customer = market.customers.customer("Sol")
    held = market.customers.assign(customer, ana.member_id)
    await market.tell()
    table = tables.customers
    locked = sa.select(table).where(table.c.customer_id == customer).with_for_update()
    api, worker = Database(market.shop.urls.api, pool=2), Database(market.shop.urls.worker, pool=2)
    async with worker.writing(market.shop.org_id) as connection:
        await connection.execute(locked)
        acting = asyncio.create_task(market.create(ana, customer, place=True))
        await until(lambda: waits(api))
        lost_at = datetime.now(UTC) + timedelta(seconds=0.2)
        market.customers.hand_over(held, bruno.member_id, lost_at)
        event = market.customers.told[-1]
        await CustomersReplica().appliers()[type(event)](connection, [event])
        await asyncio.sleep(0.3)
    await api.close()
    await worker.close()
    assert (await acting).status_code == 404
