"""Lists of orders: pages, filters and counts, within what may be seen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.orders import PATH, OrdersService, a_line


async def listed(market: OrdersService, who: Person, query: str = "") -> list[dict[str, Any]]:
    answer = await market.shop.api.get(who, PATH + query)
    assert answer.status_code == 200, answer.text
    counted = await market.shop.api.get(who, f"{PATH}/count{query}")
    found: list[dict[str, Any]] = answer.json()["items"]
    assert counted.json() == {"count": len(found)}
    return found


async def test_pages_hold_every_order_once_newest_first(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    ana = await market.shop.member(permissions=["seller"])
    mine, other = await market.customer(main=ana), await market.customer()
    made = [await market.order(mia, mine) for _ in range(7)]
    await market.order(mia, other)
    for who, count in ((ana, 7), (mia, 8)):
        path, found = f"{PATH}?limit=3", []
        while path:
            page = await market.shop.api.get(who, path)
            found += page.json()["items"]
            link = page.headers.get("link")
            path = link.partition(">")[0].removeprefix("<") if link else ""
        assert len(found) == count
        ids = [one["order_id"] for one in found if one["customer"]["name"] is not None]
        assert ids == sorted(ids, reverse=True)
        assert {one["order_id"] for one in made} <= set(ids)


async def test_a_cursor_is_its_callers_and_its_filters_own(market: OrdersService) -> None:
    mia, nora = await market.shop.member("brand_manager"), await market.shop.member("sales_manager")
    customer = await market.customer()
    for _ in range(2):
        await market.order(mia, customer)
    cursor = (await market.shop.api.get(mia, f"{PATH}?limit=1")).json()["next_cursor"]
    for who, query in ((nora, f"?limit=1&cursor={cursor}"), (mia, f"?state=draft&cursor={cursor}")):
        refused = await market.shop.api.get(who, PATH + query)
        assert (refused.status_code, refused.json()["code"]) == (422, "cursor-invalid")


async def test_each_filter_narrows_and_all_hold_at_once(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    ana = await market.shop.member(permissions=["seller"])
    mine, other = await market.customer(main=ana), await market.customer()
    draft = await market.order(ana, mine, source="visit")
    placed = await market.order(mia, mine, place=True, source="whatsapp")
    foreign = await market.order(mia, other, place=True)
    day = placed["order_date"]
    for query, of_mia, of_ana in (
        ("", [foreign, placed, draft], [placed, draft]),
        (f"?customer_id={mine}", [placed, draft], [placed, draft]),
        (f"?customer_id={other}", [foreign], []),
        ("?state=draft", [draft], [draft]),
        ("?state=draft&state=placed", [foreign, placed, draft], [placed, draft]),
        ("?source=whatsapp", [placed], [placed]),
        (f"?author_id={ana.member_id}", [draft], [draft]),
        (f"?placed_by={mia.member_id}", [foreign, placed], [placed]),
        (f"?credited_to={mia.member_id}", [foreign, placed], [placed]),
        (f"?order_date_from={day}&order_date_to={day}", [foreign, placed], [placed]),
        ("?order_date_from=2999-01-01", [], []),
        ("?order_date_to=1999-12-31", [], []),
        (f"?text={placed['number']}", [placed], [placed]),
        (f"?text={placed['number'][:6].lower()}", [placed], [placed]),
        ("?text=%25", [], []),
        (f"?customer_id={mine}&state=placed&source=visit", [], []),
    ):
        for who, expected in ((mia, of_mia), (ana, of_ana)):
            found = [one["order_id"] for one in await listed(market, who, query)]
            assert found == [one["order_id"] for one in expected], query


def ids(*orders: dict[str, Any]) -> list[str]:
    return [one["order_id"] for one in orders]


async def found(market: OrdersService, who: Person, query: str) -> list[str]:
    return ids(*await listed(market, who, query))


async def test_orders_are_found_by_words_of_the_name_that_they_show(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    ana = await market.shop.member(permissions=["seller"])
    mine = await market.customer(main=ana, name="L’Atelier d’Été Łódź")
    other = await market.customer(name="Atelier Sol")
    first = await market.order(mia, mine, place=True)
    foreign = await market.order(mia, other, place=True)
    draft = await market.order(ana, mine)
    for text, of_mia, of_ana in (
        ("l'atelier", [draft, first], [draft, first]),
        ("ATELIER", [draft, foreign, first], [draft, first]),
        ("lodz ete", [draft, first], [draft, first]),
        ("atelier sol", [foreign], []),
        ("telier", [], []),
        ("nowhere", [], []),
        ("’", [], []),
        (foreign["number"], [foreign], []),
    ):
        for who, expected in ((mia, of_mia), (ana, of_ana)):
            assert await found(market, who, f"?text={quote(text)}") == ids(*expected), text
    assert await found(market, mia, "?text=atelier&state=draft") == ids(draft)
    market.customers.customer(customer_id=mine, name="Verano")
    await market.tell()
    assert await found(market, mia, "?text=lodz") == ids(draft, first), "as they show it"
    assert await found(market, mia, "?text=verano") == []
    placed = await market.act(ana, draft["path"], "place")
    assert placed.json()["customer"]["name"] == "Verano"
    assert await found(market, ana, "?text=verano") == ids(draft)
    assert await found(market, ana, "?text=lodz") == ids(first)


async def test_a_country_is_the_one_that_the_customer_has_now(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    here, there = await market.customer(), await market.customer(country="GB")
    nowhere = await market.customer(country=None)
    first, second, third = [await market.order(mia, one) for one in (here, there, nowhere)]
    assert await found(market, mia, "?country=ES") == ids(first)
    assert await found(market, mia, "?country=gb") == ids(second)
    assert await found(market, mia, "?country=none") == ids(third)
    assert await found(market, mia, "?country=FR") == []
    market.customers.customer(customer_id=here, country="GB")
    market.customers.customer(customer_id=there, country=None)
    await market.tell()
    assert await found(market, mia, "?country=ES") == []
    assert await found(market, mia, "?country=GB") == ids(first)
    assert await found(market, mia, "?country=none") == ids(third, second)


async def test_a_currency_narrows(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    customer = await market.customer()
    euros = await market.order(mia, customer)
    pounds = await market.order(mia, customer, currency="GBP", lines=[a_line(currency="GBP")])
    assert await found(market, mia, "?currency=EUR") == ids(euros)
    assert await found(market, mia, "?currency=GBP") == ids(pounds)
    assert await found(market, mia, "?currency=USD") == []


async def test_the_house_and_the_others_are_credited_with_what_was_placed_only(
    market: OrdersService,
) -> None:
    mia, buyer = await market.shop.member("brand_manager"), await market.shop.member(kind="service")
    ana = await market.shop.member(permissions=["seller"])
    mine, free = await market.customer(main=ana), await market.customer()
    draft = await market.order(mia, mine)
    own = await market.order(ana, mine, place=True)
    house = await market.order(buyer, free, place=True, source="portal")
    of_mia = await market.order(mia, mine, place=True)
    never = await market.order(buyer, free, source="portal")
    assert (await market.act(mia, never["path"], "cancel")).status_code == 200
    returned = await market.order(buyer, free, place=True, source="portal")
    assert (await market.act(mia, returned["path"], "cancel")).status_code == 200
    for who, query, expected in (
        (mia, "?credited_to=house", ids(returned, house)),
        (mia, "?credited_to=house&state=placed", ids(house)),
        (mia, "?credited_to=others", ids(returned, house, own)),
        (mia, f"?credited_to={mia.member_id}", ids(of_mia)),
        (mia, "?author_id=others", ids(returned, never, house, own)),
        (mia, "?author_id=others&credited_to=house&state=cancelled", ids(returned)),
        (ana, "?credited_to=house", []),
        (ana, "?credited_to=others", ids(of_mia)),
        (ana, "?author_id=others", ids(of_mia, draft)),
    ):
        assert await found(market, who, query) == expected, query


async def test_what_a_representative_lost_is_former_and_found_by_no_trait_of_its_customer(
    market: OrdersService,
) -> None:
    mia = await market.shop.member("brand_manager")
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    lost = market.customers.customer()
    held = market.customers.assign(lost, ana.member_id)
    await market.tell()
    kept = await market.customer(main=ana)
    shared = market.customers.customer(country=None)
    market.customers.assign(shared, bruno.member_id)
    market.customers.assign(shared, ana.member_id, "additional")
    await market.tell()
    orders = [await market.order(ana, one, place=True) for one in (lost, kept, shared)]
    market.customers.hand_over(held, bruno.member_id, datetime.now(UTC))
    await market.tell()
    masked, own, additional = orders
    for who, query, expected in (
        (ana, "", ids(additional, own, masked)),
        (ana, "?customer_id=former", ids(masked)),
        (ana, f"?customer_id=former&author_id={ana.member_id}", ids(masked)),
        (ana, "?customer_id=former&author_id=others", []),
        (ana, "?customer_id=former&country=ES", []),
        (ana, f"?customer_id={lost}", []),
        (ana, "?text=libreria", ids(additional, own, masked)),
        (ana, "?text=sol&customer_id=former", ids(masked)),
        (ana, f"?text={lost.hex[:8]}", []),
        (ana, "?text=avila", []),
        (ana, "?country=ES", ids(own)),
        (ana, "?country=none", ids(additional)),
        (bruno, "?country=ES", ids(masked)),
        (bruno, "?customer_id=former", []),
        (mia, "?country=ES", ids(own, masked)),
        (mia, "?customer_id=former", []),
    ):
        assert await found(market, who, query) == expected, query
    [one] = await listed(market, ana, "?customer_id=former")
    assert one["customer"] == {"name": "Librería Sol"}
    market.customers.customer("Verano", customer_id=lost)
    await market.tell()
    assert await found(market, ana, "?text=verano") == [], "what it is called by now is not shown"


async def test_pages_of_the_new_filters_go_on_where_they_ended(market: OrdersService) -> None:
    ana = await market.shop.member("sales_representative")
    here, there = await market.customer(main=ana), await market.customer(main=ana, country="GB")
    made = [await market.order(ana, here if n % 2 else there, place=True) for n in range(6)]
    path, seen = f"{PATH}?country=GB&currency=EUR&limit=2", []
    while path:
        page = await market.shop.api.get(ana, path)
        seen += ids(*page.json()["items"])
        path = page.headers.get("link", "").partition(">")[0].removeprefix("<")
    assert seen == ids(made[4], made[2], made[0])


@pytest.mark.parametrize(
    ("query", "where", "message"),
    [
        ("?customer_id=lost", "customer_id", "Send an id (UUID) as it was given to you, or former"),
        ("?author_id=me", "author_id", "Send an id (UUID) as it was given to you, or others"),
        (
            "?credited_to=nobody",
            "credited_to",
            "Send an id (UUID) as it was given to you, or house or others",
        ),
        ("?country=UK", "country", "Send a country as ISO 3166-1 alpha-2: ES, or none"),
        ("?currency=euro", "currency", "Send a currency as ISO 4217: EUR"),
    ],
)
async def test_a_wrong_filter_is_told_what_it_may_be(
    market: OrdersService, query: str, where: str, message: str
) -> None:
    mia = await market.shop.member("brand_manager")
    for path in (PATH, f"{PATH}/count"):
        answer = await market.shop.api.get(mia, path + query)
        assert answer.status_code == 422, answer.text
        [fault] = answer.json()["errors"]
        assert (fault["where"], fault["message"]) == (where, message)


@pytest.mark.parametrize(
    "query",
    [
        "?state=open",
        "?customer_id=1",
        "?customer_id=others",
        "?placed_by=others",
        "?country=",
        "?country=none&country=ES",
        "?order_date_from=1700000000",
        "?order_date_to=2026-02-30",
        "?limit=0",
        "?limit=201",
        "?rep=1",
        "?text=" + 201 * "1",
        "?cursor=nonsense",
    ],
)
async def test_a_wrong_query_is_named(market: OrdersService, query: str) -> None:
    mia = await market.shop.member("brand_manager")
    answer = await market.shop.api.get(mia, PATH + query)
    assert answer.status_code == 422, answer.text


async def test_a_page_leaves_the_lines_to_the_order_itself(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    made = await market.order(mia, await market.customer(), note="private")
    [one] = await listed(market, mia)
    assert set(made) - set(one) == {"lines", "note", "path"}
    assert all(made[name] == value for name, value in one.items())


async def test_another_organizations_manager_sees_nothing(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    made = await market.order(mia, await market.customer())
    elsewhere = market.shop.identity.organization()
    stranger = market.shop.identity.person(elsewhere, "brand_manager")
    await market.shop.tell()
    assert await listed(market, stranger) == []
    for path in (made["path"], f"{PATH}/{uuid4()}"):
        assert (await market.shop.api.get(stranger, path)).status_code == 404
