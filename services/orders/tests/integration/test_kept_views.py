"""Whether authors go on viewing an order without its customer is fixed when it is placed (domain §3, D11)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bailiwick_contracts.customers import Relation
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.orders import PATH, OrdersService, a_line


async def the_people(market: OrdersService) -> tuple[Person, Person, Person]:
    shop = market.shop
    return (
        await shop.member(permissions=["seller"], name="Ana"),
        await shop.member("sales_representative", name="Bruno"),
        await shop.member("brand_manager", name="Mia"),
    )


async def hand_over(market: OrdersService, held: Any, to: Person) -> Any:
    new = market.customers.hand_over(held, to.member_id, datetime.now(UTC))
    await market.tell()
    return new


async def what_is_seen(market: OrdersService, who: Person, path: str) -> tuple[int, list[str], int]:
    """Return the status of the order itself, the orders in the list, and their count."""
    api = market.shop.api
    listed = (await api.get(who, PATH)).json()["items"]
    counted = (await api.get(who, f"{PATH}/count")).json()["count"]
    return (await api.get(who, path)).status_code, [one["order_id"] for one in listed], counted


async def done(market: OrdersService, who: Person, path: str, *verbs: str) -> None:
    for verb in verbs:
        if verb == "edit":
            answer = await market.shop.api.patch(who, path, {"lines": [a_line("7")]}, "*")
        else:
            answer = await market.act(who, path, verb)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "verbs", [("edit", "place"), ("cancel",), ("place", "cancel"), ("edit",), ("place", "edit")]
)
async def test_a_draft_that_is_worked_on_after_its_author_lost_the_customer_stays_lost(
    market: OrdersService, verbs: tuple[str, ...]
) -> None:
    ana, bruno, _ = await the_people(market)
    customer_id = await market.customer()
    held = market.customers.assign(customer_id, ana.member_id)
    await market.tell()
    draft = await market.order(ana, customer_id)
    held = await hand_over(market, held, bruno)

    await done(market, bruno, draft["path"], *verbs)

    assert await what_is_seen(market, ana, draft["path"]) == (404, [], 0)
    for verb in ("place", "confirm", "cancel"):
        answer = await market.act(ana, draft["path"], verb)
        assert answer.status_code == (403 if verb == "confirm" else 404), verb
    assert (await market.shop.api.get(ana, f"{draft['path']}/versions")).status_code == 404
    # With the customer it comes back.
    await hand_over(market, held, ana)
    assert await what_is_seen(market, ana, draft["path"]) == (200, [draft["order_id"]], 1)


@pytest.mark.parametrize("relation", ["main", "additional"])
@pytest.mark.parametrize("placed_by", ["author", "manager"])
async def test_what_was_placed_by_its_author_or_in_their_time_stays_in_their_sight(
    market: OrdersService, relation: Relation, placed_by: str
) -> None:
    ana, bruno, mia = await the_people(market)
    customer_id = await market.customer()
    held = market.customers.assign(customer_id, ana.member_id, relation)
    await market.tell()
    order = await market.order(ana, customer_id)
    await done(market, ana if placed_by == "author" else mia, order["path"], "place")

    await hand_over(market, held, bruno)
    await done(market, mia, order["path"], "confirm", "cancel")

    assert await what_is_seen(market, ana, order["path"]) == (200, [order["order_id"]], 1)
    shown = (await market.shop.api.get(ana, order["path"])).json()
    assert shown["customer"] == {"name": "Librería Sol"}


async def test_a_draft_of_one_who_was_never_assigned_is_not_kept_when_another_places_it(
    market: OrdersService,
) -> None:
    """An assistant who becomes a representative brings along what they placed, and no drafts."""
    tom = await market.shop.member("sales_assistant")
    mia = await market.shop.member("brand_manager")
    customer_id = await market.customer()
    draft, placed = [await market.order(tom, customer_id) for _ in range(2)]
    await done(market, mia, draft["path"], "place")
    await done(market, tom, placed["path"], "place")

    tom = await market.shop.member("sales_representative", member_id=tom.member_id)

    assert await what_is_seen(market, tom, placed["path"]) == (200, [placed["order_id"]], 1)
    assert (await market.shop.api.get(tom, draft["path"])).status_code == 404


@pytest.mark.parametrize("verb", ["confirm", "raise", "lower", "cancel"])
async def test_an_order_of_a_suspended_customer_does_not_grow(
    market: OrdersService, verb: str
) -> None:
    mia = await market.shop.member("brand_manager")
    customer_id = await market.customer()
    order = await market.order(mia, customer_id, lines=[a_line("10")], place=True)
    market.customers.customer("Librería Sol", customer_id=customer_id, status="suspended")
    await market.tell()

    if verb in {"raise", "lower"}:
        lines = [a_line("1000" if verb == "raise" else "1")]
        answer = await market.shop.api.patch(mia, order["path"], {"lines": lines}, "*")
    else:
        answer = await market.act(mia, order["path"], verb)

    if verb in {"raise", "confirm"}:
        assert (answer.status_code, answer.json()["code"]) == (409, "customer-state-forbids")
        unchanged = (await market.shop.api.get(mia, order["path"])).json()
        assert (unchanged["version"], unchanged["state"]) == (1, "placed")
    else:
        assert answer.status_code == 200, answer.text
