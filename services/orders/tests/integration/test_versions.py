"""What an order was before: the versions that edits replaced, for whoever views the order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.orders import PATH, OrdersService, a_line

NOWHERE = f"{PATH}/01900000-0000-7000-8000-000000000000"


async def edited(market: OrdersService, who: Person, path: str, **changes: Any) -> dict[str, Any]:
    answer = await market.shop.api.patch(who, path, changes, "*")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def versions(market: OrdersService, who: Person, path: str) -> list[dict[str, Any]]:
    answer = await market.shop.api.get(who, f"{path}/versions")
    assert answer.status_code == 200, answer.text
    assert answer.json()["next_cursor"] is None
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_an_order_that_was_never_edited_has_none(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    order = await market.order(mia, await market.customer())
    assert (await market.act(mia, order["path"], "place")).status_code == 200
    assert await versions(market, mia, order["path"]) == []


async def test_each_edit_leaves_what_it_replaced_latest_first(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    ana = await market.shop.member(permissions=["seller"])
    customer = await market.customer(main=ana)
    started = datetime.now(UTC)
    order = await market.order(ana, customer, note="ring", place=True)
    path = order["path"]
    line = a_line("1.5", "0.3333", discount="0.05")
    second = await edited(market, ana, path, lines=[line])
    assert (await market.act(mia, path, "confirm")).status_code == 200
    await edited(market, mia, path, note=None, reason="They rang")

    later, first = await versions(market, ana, path)

    assert (first["version"], later["version"]) == (1, 3)
    assert first["lines"] == order["lines"]
    assert (first["net"], first["note"]) == (order["net"], "ring")
    assert (first["replaced_by"], first["reason"]) == (str(ana.member_id), None)
    assert later["lines"] == second["lines"]
    assert later["lines"][0]["net"] == later["net"] == {"amount": "0.4750", "currency": "EUR"}
    assert (later["note"], later["reason"]) == ("ring", "They rang")
    assert later["replaced_by"] == str(mia.member_id)
    instants = [datetime.fromisoformat(one["replaced_at"]) for one in (first, later)]
    assert started < instants[0] < instants[1] < datetime.now(UTC)


async def test_pages_go_back_to_the_first_version(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    order = await market.order(mia, await market.customer())
    for number in range(5):
        await edited(market, mia, order["path"], note=f"note {number}")
    path, seen = f"{order['path']}/versions?limit=2", []
    while path:
        page = await market.shop.api.get(mia, path)
        seen += [one["version"] for one in page.json()["items"]]
        path = page.headers.get("link", "").partition(">")[0].removeprefix("<")
    assert seen == [5, 4, 3, 2, 1]


async def test_a_cursor_is_of_one_order(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    customer = await market.customer()
    orders = [await market.order(mia, customer) for _ in range(2)]
    for order in orders:
        for note in ("one", "two"):
            await edited(market, mia, order["path"], note=note)
    first, second = (f"{order['path']}/versions?limit=1" for order in orders)
    cursor = (await market.shop.api.get(mia, first)).json()["next_cursor"]
    refused = await market.shop.api.get(mia, f"{second}&cursor={cursor}")
    assert (refused.status_code, refused.json()["code"]) == (422, "cursor-invalid")


async def test_who_may_not_view_the_order_is_answered_like_a_random_id(
    market: OrdersService,
) -> None:
    mia = await market.shop.member("brand_manager")
    ana = await market.shop.member(permissions=["seller"])
    order = await market.order(mia, await market.customer())
    await edited(market, mia, order["path"], note="new")
    for query in ("", "?limit=nonsense"):
        answers = [
            await market.shop.api.get(ana, f"{path}/versions{query}")
            for path in (order["path"], NOWHERE)
        ]
        assert [one.status_code for one in answers] == [404, 404]
        first, second = ({**one.json(), "trace_id": ""} for one in answers)
        assert first == second
    wrong = await market.shop.api.get(mia, f"{order['path']}/versions?limit=nonsense")
    assert wrong.status_code == 422


async def test_versions_go_with_the_customer(market: OrdersService) -> None:
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    customer = market.customers.customer()
    held = market.customers.assign(customer, ana.member_id)
    await market.tell()
    draft = await market.order(ana, customer)
    placed = await market.order(ana, customer, place=True)
    for order in (draft, placed):
        await edited(market, ana, order["path"], note="mine")
    market.customers.hand_over(held, bruno.member_id, datetime.now(UTC))
    await market.tell()
    lost = await market.shop.api.get(ana, f"{draft['path']}/versions")
    assert lost.status_code == 404
    kept = await market.shop.api.get(ana, f"{placed['path']}/versions")
    assert len(kept.json()["items"]) == 1
    assert str(customer) not in kept.text
    for order in (draft, placed):
        assert len(await versions(market, bruno, order["path"])) == 1


async def test_who_may_view_no_orders_is_told_nothing(market: OrdersService) -> None:
    zoe = await market.shop.member("custom_member", ticks={"prices": "edit"})
    for who, problem in ((None, (401, "unauthenticated")), (zoe, (403, "capability-missing"))):
        answer = await market.shop.api.get(who, f"{NOWHERE}/versions")
        assert (answer.status_code, answer.json()["code"]) == problem
