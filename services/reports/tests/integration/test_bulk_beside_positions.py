"""While imported orders wait by the thousand, what anybody places now is in the figures they ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
import sqlalchemy as sa

from bailiwick_contracts.envelope import EXCHANGE, bulk
from bailiwick_kit.web.read_your_writes import Position
from bailiwick_reports.main import work
from bailiwick_reports.settings import Settings
from bailiwick_reports.store import tables
from bailiwick_testkit.fakes.customers import MadeUpCustomers
from bailiwick_testkit.fakes.orders import MadeUpOrders
from bailiwick_testkit.fakes.subscriber import publish
from bailiwick_testkit.services.application import served, settings_for
from bailiwick_testkit.services.service_under_test import ServiceUnderTest
from bailiwick_testkit.waiting import running, until

SALES = "/v1/reports/sales"


@asynccontextmanager
async def working(shop: ServiceUnderTest, broker: str) -> AsyncIterator[None]:
    """Run the worker as the service does."""
    feeds = (shop.identity.application(), MadeUpCustomers(shop.org_id).application())
    async with served(*feeds) as (identity_url, customers_url):
        urls = {"identity_url": identity_url, "customers_url": customers_url}
        settings = settings_for(Settings, shop.urls, broker_url=broker, **urls)
        async with work(settings) as jobs, running(*jobs):
            yield


async def counted(shop: ServiceUnderTest) -> int:
    """Return how many orders of the organization are counted."""
    async with shop.database.reading(shop.org_id) as connection:
        found = await connection.execute(sa.select(sa.func.count()).select_from(tables.orders))
        return int(found.scalar_one())


@pytest.mark.parametrize(
    "waiting", [3_000, pytest.param(100_000, marks=pytest.mark.slow)], ids=["3,000", "100,000"]
)
async def test_a_position_is_reached_while_imported_orders_wait(
    shop: ServiceUnderTest, broker: str, waiting: int
) -> None:
    mia = await shop.member("brand_manager")
    beside = shop.identity.person(shop.identity.organization(), "brand_manager")
    await shop.tell()
    imported, customer_id = MadeUpOrders(shop.org_id), uuid4()
    for _ in range(waiting):
        imported.placed(uuid4(), mia.member_id, None, source="import", imported=True)
    await publish(broker, *imported.told, exchange=bulk(EXCHANGE))

    async with working(shop, broker):
        await until(lambda: counted(shop), "the first ones are counted")
        for who in (beside, mia):
            trade = MadeUpOrders(who.org_id)
            order_id = trade.placed(customer_id, who.member_id, who.member_id)
            await publish(broker, *trade.told)
            position = Position("orders", order_id, 1)
            found = await shop.api.get(
                who, f"{SALES}?customer_id={customer_id}", headers=who.after(position)
            )
            assert found.status_code == 200, found.text
            [total] = found.json()["totals"]
            assert total["orders"] == 1
        assert await counted(shop) < waiting, "none waits any more: this shows nothing"

        async def are_all_counted() -> bool:
            return await counted(shop) == waiting + 1

        await until(are_all_counted, "all are counted", within=waiting / 20)
