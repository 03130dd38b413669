"""Beside a real orders service: every link of every report lists exactly the orders that its row counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from bailiwick_contracts.catalogue import EVENTS
from bailiwick_contracts.orders import OrderEvent
from bailiwick_reports.store import cube
from bailiwick_testkit.fakes.customers import MadeUpCustomers
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.servers.real import Opa, Postgres
from bailiwick_testkit.services.orders import OrdersService, a_line
from bailiwick_testkit.services.reports import ReportsService
from bailiwick_testkit.services.service_under_test import open_shop

QUERIES = (
    "",
    "by=author",
    "by=credited_to",
    "by=customer&by=author",
    "by=country&by=source",
    "by=day&by=credited_to",
    "by=month&by=country",
    "by=credited_to&credited_to=house",
    "by=credited_to&author_id=others&state=placed&state=confirmed",
    "by=author&customer_id=former",
    "by=country&country=none&currency=EUR",
    "by=customer&state=fulfilled&source=visit",
)


@dataclass
class Town:
    """Orders and reports side by side, of the same people and customers."""

    market: OrdersService
    desk: ReportsService

    async def catch_up(self) -> None:
        """Let orders know what customers did, and reports what both did."""
        await self.market.tell()
        await self.desk.tell()
        told = self.market.shop.tables.outbox
        async with self.market.shop.database.reading(None) as connection:
            rows = (await connection.execute(sa.select(told).order_by(told.c.position))).all()
        for row in rows:
            event = EVENTS[row.type].model_validate_json(row.body)
            async with self.desk.shop.database.writing(event.org_id) as connection:
                assert isinstance(event, OrderEvent)
                await cube.count(connection, [event])

    async def person(self, *args: Any, **more: Any) -> Person:
        """Hire somebody, and let both services know."""
        person = await self.market.shop.member(*args, **more)
        await self.desk.shop.tell()
        return person


@pytest.fixture
async def town(postgres: Postgres, opa: Opa) -> AsyncIterator[Town]:
    """An empty town."""
    async with (
        open_shop("orders", postgres, opa.url) as orders,
        open_shop("reports", postgres, opa.url, orders.identity) as reports,
    ):
        customers = MadeUpCustomers(orders.org_id)
        desk = ReportsService.of(replace(reports, org_id=orders.org_id))
        desk.customers = customers
        await desk.shop.tell()
        yield Town(OrdersService(orders, customers), desk)


async def traded(town: Town) -> list[Person]:
    """Let people trade, hand a customer over, and return them."""
    mia = await town.person("brand_manager")
    ana = await town.person(permissions=["seller"])
    bruno = await town.person("sales_representative")
    buyer = await town.person(kind="service")
    told = town.market.customers
    first, second, third = (
        told.customer(name, country=country)
        for name, country in (("C1", "ES"), ("C2", "GB"), ("C3", None))
    )
    held = told.assign(first, ana.member_id)
    told.assign(second, bruno.member_id)
    told.assign(second, ana.member_id, "additional")
    await town.catch_up()

    async def ordered(who: Person, customer: UUID, source: str, currency: str, *acts: str) -> None:
        made = await town.market.order(
            who,
            customer,
            place="draft" not in acts,
            source=source,
            currency=currency,
            lines=[a_line(currency=currency)],
        )
        for act in acts:
            if act != "draft":
                assert (await town.market.act(mia, made["path"], act)).status_code == 200

    await ordered(ana, first, "visit", "EUR")
    await ordered(ana, first, "phone", "GBP", "confirm", "fulfil")
    await ordered(mia, first, "visit", "EUR", "confirm")
    await ordered(buyer, first, "portal", "EUR")
    await ordered(bruno, second, "visit", "EUR", "confirm", "fulfil")
    await ordered(ana, second, "whatsapp", "GBP")
    await ordered(ana, second, "visit", "GBP", "cancel")
    await ordered(buyer, third, "portal", "EUR")
    await ordered(mia, third, "other", "EUR", "draft")
    await ordered(mia, third, "other", "EUR", "draft", "cancel")
    told.hand_over(held, bruno.member_id, datetime.now(UTC))
    await town.catch_up()
    return [mia, ana, bruno]


async def counted(town: Town, who: Person, link: str) -> int:
    answer = await town.market.shop.api.get(who, link.replace("?", "/count?", 1))
    assert answer.status_code == 200, answer.text
    count: int = answer.json()["count"]
    return count


async def test_every_link_lists_what_its_row_counts(town: Town) -> None:
    followed = 0
    mia, ana, bruno = await traded(town)
    for who in (mia, ana, bruno):
        for query in QUERIES:
            body = await town.desk.read(who, f"sales?{query}")
            for row in (*body["rows"], *body["totals"]):
                assert await counted(town, who, row["orders_link"]) == row["orders"], (query, row)
                followed += 1
        for row in (await town.desk.read(who, "portfolio"))["rows"]:
            orders = sum(one["orders"] for one in row["figures"])
            assert await counted(town, who, row["orders_link"]) == orders, row
    for member in (await town.desk.read(mia, "team"))["members"]:
        credited = sum(one["orders"] for one in member["credited"])
        assert await counted(town, mia, member["orders_link"]) == credited, member
    assert followed > 60


async def test_a_link_of_credit_lists_what_may_still_be_viewed_of_it(town: Town) -> None:
    _, ana, bruno = await traded(town)
    for who, credited, viewable in ((ana, 4, 3), (bruno, 1, 1)):
        totals = (await town.desk.read(who, "credit"))["totals"]
        assert sum(one["orders"] for one in totals) == credited
        links = [one["orders_link"] for one in totals]
        assert sum([await counted(town, who, link) for link in links]) == viewable
