"""Who gets the credit for an order when it is placed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bailiwick_testkit.fakes.people import LONG_AGO, Person
from bailiwick_testkit.services.orders import OrdersService


async def credited(
    market: OrdersService, who: Person, customer: object, **body: object
) -> str | None:
    made = await market.create(who, customer, place=True, **body)  # type: ignore[arg-type]
    assert made.status_code == 201, made.text
    credit: str | None = made.json()["credited_to"]
    return credit


async def test_an_assistants_order_is_credited_to_the_main_and_without_one_to_the_house(
    market: OrdersService,
) -> None:
    tom = await market.shop.member("sales_assistant")
    ana = await market.shop.member("sales_representative")
    assert await credited(market, tom, await market.customer(main=ana)) == str(ana.member_id)
    assert await credited(market, tom, await market.customer()) is None


async def test_who_holds_orders_alone_gets_their_own_credit(market: OrdersService) -> None:
    leo = await market.shop.member(permissions=["orders"])
    ana = await market.shop.member("sales_representative")
    customer = await market.customer(main=ana)
    assert await credited(market, leo, customer) == str(leo.member_id)
    named = str(ana.member_id)
    assert await credited(market, leo, customer, credited_to=named) == named


@pytest.mark.parametrize(
    ("role", "changes"),
    [
        ("sales_representative", {"status": "inactive"}),
        ("sales_representative", {"valid_until": LONG_AGO + timedelta(days=1)}),
        ("custom_member", {}),
        (None, {"permissions": ["customers"]}),
        (None, {"permissions": ["orders"]}),
    ],
    ids=["inactive", "expired", "custom", "lost seller", "orders alone"],
)
async def test_a_main_who_does_not_count_gets_no_credit_and_cannot_be_named(
    market: OrdersService, role: str | None, changes: dict[str, Any]
) -> None:
    tom, mia = [await market.shop.member(role) for role in ("sales_assistant", "brand_manager")]
    ana = await market.shop.member("sales_representative")
    customer = await market.customer(main=ana)
    await market.shop.member(role, member_id=ana.member_id, **changes)
    assert await credited(market, tom, customer) is None
    named = {"credited_to": str(ana.member_id)}
    refused = await market.create(mia, customer, place=True, **named)
    assert (refused.status_code, refused.json()["code"]) == (422, "not-assigned")


async def test_credit_is_settled_when_placed_by_who_represents_then(market: OrdersService) -> None:
    tom = await market.shop.member("sales_assistant")
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    customer = market.customers.customer()
    held = market.customers.assign(customer, ana.member_id)
    await market.tell()
    draft = await market.order(tom, customer)
    market.customers.hand_over(held, bruno.member_id, held.valid_from)
    await market.tell()
    placed = (await market.act(tom, draft["path"], "place")).json()
    assert (placed["credited_to"], placed["placed_by"]) == (
        str(bruno.member_id),
        str(tom.member_id),
    )


async def test_a_manager_names_another_assigned_representative(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    ana, bruno, eva = [await market.shop.member("sales_representative") for _ in range(3)]
    customer = await market.customer(main=ana)
    market.customers.assign(customer, bruno.member_id, "additional")
    await market.tell()
    for one in (ana, bruno, mia):
        named = str(one.member_id)
        assert await credited(market, mia, customer, credited_to=named) == named
    refused = await market.create(mia, customer, place=True, credited_to=str(eva.member_id))
    assert (refused.status_code, refused.json()["code"]) == (422, "not-assigned")
    draft = await market.order(mia, customer)
    body = {"credited_to": str(ana.member_id)}
    placed = await market.act(mia, draft["path"], "place", '"v1"', body)
    assert placed.json()["credited_to"] == str(ana.member_id)


async def test_a_representative_names_nobody_but_themselves(market: OrdersService) -> None:
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    customer = await market.customer(main=ana)
    market.customers.assign(customer, bruno.member_id, "additional")
    await market.tell()
    own = str(bruno.member_id)
    assert await credited(market, bruno, customer, credited_to=own) == own
    refused = await market.create(bruno, customer, place=True, credited_to=str(ana.member_id))
    assert (refused.status_code, refused.json()["code"]) == (403, "capability-missing")
