"""How lists and counts of orders are read: planned for their values where those matter, and by an index."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from bailiwick_orders.store.customer_names import FEW
from bailiwick_testkit.checks.query_plans import Sent, listening
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.servers.real import Opa, Postgres
from bailiwick_testkit.services.large_company import Company, fill, superuser_dsn
from bailiwick_testkit.services.orders import PATH, OrdersService
from bailiwick_testkit.services.service_under_test import ServiceUnderTest, open_shop

TIMES = 8
"""PostgreSQL may decide for one plan from the sixth time on."""
MOST = 500
"""Rows that a page of 50 may cost: it is found, whatever it is narrowed to."""


async def sent_for(shop: ServiceUnderTest, who: Person, path: str, times: int = 1) -> list[Sent]:
    """Return what the service sends for a request, the last time of several."""
    for _ in range(times):
        with listening() as sent:
            answer = await shop.api.get(who, path)
        assert answer.status_code == 200, answer.text
    return sent


def of_orders(sent: list[Sent]) -> Sent:
    """Return the statement that reads the list, which is the last; a search looks for its text before."""
    *_, statement = [one for one in sent if "visibility" in one.text or "FROM orders" in one.text]
    return statement


@pytest.mark.parametrize(
    "query",
    [
        "?state=draft",
        "?currency=EUR",
        "?source=phone&limit=10",
        "?country=ES",
        "?credited_to=house",
        "?order_date_from=2030-01-01",
        "?order_date_to=2020-01-01",
        "?text=B",
        "/count",
        "/count?state=draft",
    ],
)
async def test_what_is_narrowed_or_counted_is_planned_for_its_values_however_often_it_is_asked(
    market: OrdersService, query: str
) -> None:
    ana = await market.shop.member("sales_representative")
    await market.order(ana, await market.customer(main=ana), place=True)
    sent = of_orders(await sent_for(market.shop, ana, PATH + query, TIMES))
    assert await sent.plans() == (0, TIMES)


async def test_a_record_and_the_first_page_of_all_keep_one_plan_and_take_no_further_round_trip(
    market: OrdersService,
) -> None:
    ana = await market.shop.member("sales_representative")
    made = await market.order(ana, await market.customer(main=ana), place=True)
    # The organization, the caller, what is asked, and the organization cleared (D12). A record is read
    # once for its facts, and once to be shown.
    for path, round_trips in ((PATH, 4), (made["path"], 5)):
        sent = await sent_for(market.shop, ana, path, TIMES)
        assert len(sent) == round_trips
        for statement in sent[2:-1]:
            by_one_plan, by_their_own = await statement.plans()
            assert by_one_plan >= TIMES
            assert by_their_own == 0


@dataclass
class Large:
    """A company of 20,000 orders; its representatives have 2,000 of them, and 1,000."""

    shop: ServiceUnderTest
    people: dict[str, Person]

    async def read(self, who: str, query: str, *, in_tables: bool = False) -> dict[str, int]:
        """Return how many rows of each table a request reads."""
        sent = await sent_for(self.shop, self.people[who], PATH + query)
        read: Counter[str] = Counter()
        for statement in sent[2:-1]:
            if statement.text.lstrip().startswith("SELECT") and "set_config" not in statement.text:
                read.update(await statement.rows_read(self.shop.org_id, in_tables=in_tables))
        return dict(read)


@pytest.fixture(scope="module")
async def large(postgres: Postgres, opa: Opa) -> AsyncIterator[Large]:
    """A service of its own, so that it is filled once."""
    async with open_shop("orders", postgres, opa.url) as shop:
        manager = await shop.member("brand_manager")
        reps = [await shop.member("sales_representative") for _ in range(2)]
        large, small = (one.member_id for one in reps)
        company = Company(shop.org_id, large, small, orders=20_000)
        await fill("orders", superuser_dsn(postgres, shop.urls), company)
        yield Large(shop, {"manager": manager, "large": reps[0], "small": reps[1]})


def days_ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).date().isoformat()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "state=draft",
        "currency=CHF",
        "currency=USD",
        "source=other",
        f"author_id={UUID(int=9)}",
        f"placed_by={UUID(int=9)}",
        f"credited_to={UUID(int=9)}",
        "credited_to=house",
        "order_date_from=2030-01-01",
        f"order_date_from={days_ago(1)}",
        f"order_date_to={days_ago(600)}",
        "order_date_to=2001-01-01",
        "text=N9999",
        "text=nowhere",
        "text=1999",
        "text=bazar+1999",
        "text=librer%C3%ADa",
    ],
)
async def test_a_page_reads_little_more_than_it_shows_however_old_or_rare_what_it_is_narrowed_to(
    large: Large, query: str
) -> None:
    read = await large.read("manager", f"?{query}")
    names = read.pop("customer_names", 0), read.pop("customer_name_words", 0)
    assert max(names) <= FEW, names
    assert sum(read.values()) <= MOST, read


@pytest.mark.parametrize(
    "query",
    [
        *("", "state=draft", "currency=USD", "source=other", f"order_date_to={days_ago(690)}"),
        *("text=N9999", "text=nowhere", "text=bazar+99", "text=librer%C3%ADa+bazar"),
    ],
)
@pytest.mark.parametrize("who", ["large", "small"])
async def test_a_representatives_page_never_reads_the_orders_of_all(
    large: Large, who: str, query: str
) -> None:
    read = await large.read(who, f"?{query}")
    assert read["orders"] <= MOST, read


async def test_a_representatives_count_reads_no_order_but_those_that_they_merely_wrote(
    large: Large,
) -> None:
    read = await large.read("large", "/count")
    assert read["visibility"] > 2_000
    assert read["orders"] == 0  # what they wrote is of customers whom they represent, here


@pytest.mark.parametrize("query", ["customer_id=former", "credited_to=others"])
async def test_what_others_did_in_a_portfolio_is_looked_for_in_indexes(
    large: Large, query: str
) -> None:
    # There is none here: all of a portfolio is looked through, without reading its 2,000 orders.
    read = await large.read("large", f"?{query}", in_tables=True)
    assert read["orders"] < 2_000, read
