"""Lists of orders: pages, filters and counts, within what may be seen."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from bailiwick_testkit.market import PATH, Market
from bailiwick_testkit.people import Person


async def listed(market: Market, who: Person, query: str = "") -> list[dict[str, Any]]:
    answer = await market.shop.api.get(who, PATH + query)
    assert answer.status_code == 200, answer.text
    counted = await market.shop.api.get(who, f"{PATH}/count{query}")
    found: list[dict[str, Any]] = answer.json()["items"]
    assert counted.json() == {"count": len(found)}
    return found


async def test_pages_hold_every_order_once_newest_first(market: Market) -> None:
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


async def test_a_cursor_is_its_callers_and_its_filters_own(market: Market) -> None:
    mia, nora = await market.shop.member("brand_manager"), await market.shop.member("sales_manager")
    customer = await market.customer()
    for _ in range(2):
        await market.order(mia, customer)
    cursor = (await market.shop.api.get(mia, f"{PATH}?limit=1")).json()["next_cursor"]
    for who, query in ((nora, f"?limit=1&cursor={cursor}"), (mia, f"?state=draft&cursor={cursor}")):
        refused = await market.shop.api.get(who, PATH + query)
        assert (refused.status_code, refused.json()["code"]) == (422, "cursor-invalid")


async def test_each_filter_narrows_and_all_hold_at_once(market: Market) -> None:
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


@pytest.mark.parametrize(
    "query",
    [
        "?state=open",
        "?customer_id=1",
        "?order_date_from=1700000000",
        "?order_date_to=2026-02-30",
        "?limit=0",
        "?limit=201",
        "?rep=1",
        "?text=123456789",
        "?cursor=nonsense",
    ],
)
async def test_a_wrong_query_is_named(market: Market, query: str) -> None:
    mia = await market.shop.member("brand_manager")
    answer = await market.shop.api.get(mia, PATH + query)
    assert answer.status_code == 422, answer.text


async def test_a_page_leaves_the_lines_to_the_order_itself(market: Market) -> None:
    mia = await market.shop.member("brand_manager")
    made = await market.order(mia, await market.customer(), note="private")
    [one] = await listed(market, mia)
    assert set(made) - set(one) == {"lines", "note", "path"}
    assert all(made[name] == value for name, value in one.items())


async def test_another_organizations_manager_sees_nothing(market: Market) -> None:
    mia = await market.shop.member("brand_manager")
    made = await market.order(mia, await market.customer())
    elsewhere = market.shop.identity.organization()
    stranger = market.shop.identity.person(elsewhere, "brand_manager")
    await market.shop.tell()
    assert await listed(market, stranger) == []
    for path in (made["path"], f"{PATH}/{uuid4()}"):
        assert (await market.shop.api.get(stranger, path)).status_code == 404
