"""A hidden order is told from a random id by nothing: not by the answer, the work, or a lock (S2)."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from bailiwick_kit.database.engine import Database
from bailiwick_testkit.checks.work import work_done
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.orders import PATH, OrdersService, a_line, an_order
from bailiwick_testkit.waiting import until

OPERATIONS = ("read", "versions", "edit", "place", "cancel", "confirm", "fulfil", "create")
MANY = [a_line()] * 200


async def send(
    market: OrdersService, who: Person, operation: str, order: object, customer: object
) -> httpx2.Response:
    path, api = f"{PATH}/{order}", market.shop.api
    match operation:
        case "read":
            return await api.get(who, path)
        case "versions":
            return await api.get(who, f"{path}/versions")
        case "edit":
            return await api.patch(who, path, {"note": "x"}, "*")
        case "create":
            headers = {"Idempotency-Key": uuid4().hex}
            return await api.post(who, PATH, an_order(str(customer)), headers=headers)
        case _:
            return await market.act(who, path, operation)


def told(answer: httpx2.Response) -> tuple[int, Any, list[str]]:
    body = {**answer.json(), "trace_id": ""}
    return answer.status_code, body, sorted(answer.headers)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_hidden_order_takes_the_work_of_none(market: OrdersService, operation: str) -> None:
    mia = await market.shop.member("brand_manager")
    bruno = await market.shop.member("sales_representative")
    customer = await market.customer(main=mia)
    order = (await market.order(mia, customer, lines=MANY))["order_id"]
    answers, works = [], []
    for ids in ((order, customer), (uuid4(), uuid4())):
        with work_done() as work:
            answers.append(told(await send(market, bruno, operation, *ids)))
        works.append(work)
    assert answers[0] == answers[1]
    assert answers[0][0] == (403 if operation in {"confirm", "fulfil"} else 404)
    assert works[0] == works[1]
    assert any(one.startswith("policy bailiwick/orders") for one in works[0])
    assert any("SELECT orders" in one or "SELECT customers" in one for one in works[0])


@pytest.mark.parametrize("operation", ["edit", "place", "cancel", "create"])
async def test_nobody_waits_for_the_lock_of_what_is_hidden(
    market: OrdersService, operation: str
) -> None:
    mia = await market.shop.member("brand_manager")
    bruno = await market.shop.member("sales_representative")
    customer = await market.customer()
    order = await market.order(mia, customer)
    async with (
        Database(market.shop.urls.api) as database,
        database.writing(market.shop.org_id) as holding,
    ):
        for table in ("orders", "customers"):
            await holding.exec_driver_sql(f"SELECT 1 FROM {table} FOR UPDATE")  # noqa: S608
        asked = send(market, bruno, operation, order["order_id"], customer)
        answer = await asyncio.wait_for(asked, 8)
    assert answer.status_code == 404


async def test_what_changes_while_its_lock_is_waited_for_is_decided_anew(
    market: OrdersService,
) -> None:
    mia = await market.shop.member("brand_manager")
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    customer = market.customers.customer()
    held = market.customers.assign(customer, ana.member_id)
    await market.tell()
    path = (await market.order(mia, customer))["path"]
    async with (
        Database(market.shop.urls.api) as database,
        database.writing(market.shop.org_id) as holding,
    ):
        await holding.exec_driver_sql("SELECT 1 FROM orders FOR UPDATE")
        asking = asyncio.create_task(market.shop.api.patch(ana, path, {"note": "mine"}, "*"))
        await _waits(database)
        market.customers.hand_over(held, bruno.member_id, held.valid_from)
        await market.tell()
    assert (await asking).status_code == 404
    assert (await market.shop.api.get(mia, path)).json()["note"] is None


async def _waits(database: Database) -> None:

    async def waits() -> bool:
        async with database.reading(None) as connection:
            found = await connection.exec_driver_sql(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return bool(found.scalar_one())

    await until(waits)
