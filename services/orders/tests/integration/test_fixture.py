"""The fixture of the domain, its half that is about orders: who sees and edits what, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from bailiwick_contracts.customers import Assignment
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.orders import PATH, OrdersService, an_order


@dataclass
class Cast:
    people: dict[str, Person]
    customers: dict[str, UUID]
    orders: dict[str, dict[str, Any]]
    c1_main: Assignment


@pytest.fixture
async def cast(market: OrdersService) -> Cast:
    """Mia, Ana, Bruno, Tom, Zoe and the storefront; C1 to C4; O1 to O7, all placed."""
    shop, told = market.shop, market.customers
    people = {
        "Mia": await shop.member("brand_manager"),
        "Ana": await shop.member(permissions=["seller"]),
        "Bruno": await shop.member("sales_representative"),
        "Tom": await shop.member("sales_assistant"),
        "Zoe": await shop.member("custom_member", ticks={"prices": "edit"}),
        "buyer": await shop.member(kind="service"),
    }
    customers = {name: told.customer(name) for name in ("C1", "C2", "C3", "C4")}
    c1_main = told.assign(customers["C1"], people["Ana"].member_id)
    told.assign(customers["C2"], people["Bruno"].member_id)
    told.assign(customers["C2"], people["Ana"].member_id, "additional")
    told.assign(customers["C4"], people["Mia"].member_id)
    await market.tell()
    orders = {}
    for name, customer, who in (
        ("O1", "C1", "buyer"),
        ("O2", "C2", "Bruno"),
        ("O3", "C2", "Ana"),
        ("O4", "C3", "buyer"),
        ("O5", "C4", "Mia"),
        ("O6", "C1", "Mia"),
        ("O7", "C1", "Ana"),
    ):
        source = "portal" if who == "buyer" else "visit"
        orders[name] = await market.order(
            people[who], customers[customer], place=True, source=source
        )
    return Cast(people, customers, orders, c1_main)


async def sees(market: OrdersService, cast: Cast, name: str, expected: str) -> None:
    """Hold for each order: in the list ⇔ by id 200 ⇔ in the count."""
    who, wanted = cast.people[name], set(expected.split())
    listed = await market.shop.api.get(who, PATH)
    assert listed.status_code == 200, listed.text
    names = {order["order_id"]: code for code, order in cast.orders.items()}
    assert {names[one["order_id"]] for one in listed.json()["items"]} == wanted
    counted = await market.shop.api.get(who, f"{PATH}/count")
    assert counted.json() == {"count": len(wanted)}
    for code, order in cast.orders.items():
        read = await market.shop.api.get(who, order["path"])
        assert read.status_code == (200 if code in wanted else 404), (name, code)


async def edits(market: OrdersService, cast: Cast, name: str, **expected: str) -> None:
    """Hold what editing each order answers: `yes`, or the problem's code."""
    for code, answer in expected.items():
        path = cast.orders[code]["path"]
        edited = await market.shop.api.patch(cast.people[name], path, {"note": name}, "*")
        said = "yes" if edited.status_code == 200 else edited.json()["code"]
        assert said == answer, (name, code, edited.text)


async def test_the_manager_sees_and_edits_all_seven(market: OrdersService, cast: Cast) -> None:
    await sees(market, cast, "Mia", "O1 O2 O3 O4 O5 O6 O7")
    await edits(market, cast, "Mia", **dict.fromkeys(cast.orders, "yes"))


async def test_ana_sees_five_and_edits_what_is_hers_to_edit(
    market: OrdersService, cast: Cast
) -> None:
    await sees(market, cast, "Ana", "O1 O2 O3 O6 O7")
    await edits(
        market,
        cast,
        "Ana",
        O1="yes",
        O6="yes",
        O7="yes",
        O3="yes",
        O2="order-not-own-as-additional",
        O4="not-found",
        O5="not-found",
    )


async def test_bruno_sees_two_and_edits_both(market: OrdersService, cast: Cast) -> None:
    await sees(market, cast, "Bruno", "O2 O3")
    hidden = dict.fromkeys(("O1", "O4", "O5", "O6", "O7"), "not-found")
    await edits(market, cast, "Bruno", O2="yes", O3="yes", **hidden)


async def test_tom_sees_all_and_edits_drafts_of_his_own_until_they_are_placed(
    market: OrdersService, cast: Cast
) -> None:
    tom = cast.people["Tom"]
    await sees(market, cast, "Tom", "O1 O2 O3 O4 O5 O6 O7")
    await edits(market, cast, "Tom", O1="not-own-draft")
    draft = await market.order(tom, cast.customers["C3"])
    edited = await market.shop.api.patch(tom, draft["path"], {"note": "soon"}, '"v1"')
    assert edited.status_code == 200
    assert (await market.act(tom, draft["path"], "place", '"v2"')).status_code == 200
    again = await market.shop.api.patch(tom, draft["path"], {"note": "late"}, '"v3"')
    assert (again.status_code, again.json()["code"]) == (403, "not-own-draft")


async def test_zoe_lists_nothing_and_creates_nothing(market: OrdersService, cast: Cast) -> None:
    zoe, api = cast.people["Zoe"], market.shop.api
    for path in (PATH, f"{PATH}/count", cast.orders["O1"]["path"]):
        answer = await api.get(zoe, path)
        assert (answer.status_code, answer.json()["code"]) == (403, "capability-missing")
    for body in (an_order(cast.customers["C1"]), {}, {"customer_id": "nonsense"}):
        answer = await api.post(zoe, PATH, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "custom-ceiling"), body


async def test_the_storefront_sees_what_it_wrote_and_edits_nothing(
    market: OrdersService, cast: Cast
) -> None:
    await sees(market, cast, "buyer", "O1 O4")
    path = cast.orders["O1"]["path"]
    edited = await market.shop.api.patch(cast.people["buyer"], path, {"note": "x"}, "*")
    assert (edited.status_code, edited.json()["code"]) == (403, "capability-missing")


async def test_credit_goes_to_who_placed_or_to_the_main_of_that_instant(
    market: OrdersService, cast: Cast
) -> None:
    ids = {name: str(person.member_id) for name, person in cast.people.items()}
    credited = {code: order["credited_to"] for code, order in cast.orders.items()}
    assert credited == {
        "O1": ids["Ana"],
        "O2": ids["Bruno"],
        "O3": ids["Ana"],
        "O4": None,
        "O5": ids["Mia"],
        "O6": ids["Mia"],
        "O7": ids["Ana"],
    }


async def test_before_t_a_planned_handover_changes_nothing(
    market: OrdersService, cast: Cast
) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    market.customers.hand_over(cast.c1_main, cast.people["Bruno"].member_id, later)
    await market.tell()
    await sees(market, cast, "Ana", "O1 O2 O3 O6 O7")
    await sees(market, cast, "Bruno", "O2 O3")


async def test_from_t_on_ana_keeps_what_she_placed_and_bruno_has_the_customer(
    market: OrdersService, cast: Cast
) -> None:
    draft = await market.order(cast.people["Ana"], cast.customers["C1"])
    market.customers.hand_over(cast.c1_main, cast.people["Bruno"].member_id, datetime.now(UTC))
    await market.tell()

    api, ana, bruno = market.shop.api, cast.people["Ana"], cast.people["Bruno"]
    await edits(market, cast, "Ana", O1="not-found", O6="not-found", O7="assignment-ended")
    assert (await api.get(ana, draft["path"])).status_code == 404
    assert (await api.get(bruno, draft["path"])).status_code == 200
    cast.orders["draft"] = draft
    await sees(market, cast, "Ana", "O2 O3 O7")
    await sees(market, cast, "Bruno", "O1 O2 O3 O6 O7 draft")
    await edits(market, cast, "Bruno", O1="yes", O2="yes", O3="yes", O6="yes", O7="yes")
    kept = (await api.get(cast.people["Mia"], cast.orders["O7"]["path"])).json()
    assert kept["credited_to"] == str(ana.member_id)


async def test_of_a_lost_customer_only_the_name_is_left_wherever_the_order_shows(
    market: OrdersService, cast: Cast
) -> None:
    market.customers.hand_over(cast.c1_main, cast.people["Bruno"].member_id, datetime.now(UTC))
    await market.tell()
    api, ana = market.shop.api, cast.people["Ana"]
    one = (await api.get(ana, cast.orders["O7"]["path"])).json()
    listed = {order["order_id"]: order for order in (await api.get(ana, PATH)).json()["items"]}
    assert one["customer"] == listed[one["order_id"]]["customer"] == {"name": "C1"}
    known = {"name": "C2", "customer_id": str(cast.customers["C2"])}
    assert listed[cast.orders["O3"]["order_id"]]["customer"] == known
    asked = f"?customer_id={cast.customers['C1']}"
    assert (await api.get(ana, PATH + asked)).json()["items"] == []
    assert (await api.get(ana, f"{PATH}/count{asked}")).json() == {"count": 0}
    assert str(cast.customers["C1"]) not in (await api.get(ana, PATH)).text


async def test_a_handover_taken_back_gives_the_rows_above_again(
    market: OrdersService, cast: Cast
) -> None:
    bruno, ana = cast.people["Bruno"], cast.people["Ana"]
    moved = market.customers.hand_over(cast.c1_main, bruno.member_id, datetime.now(UTC))
    await market.tell()
    cast.orders["new"] = await market.order(bruno, cast.customers["C1"], place=True)
    market.customers.hand_over(moved, ana.member_id, datetime.now(UTC))
    await market.tell()
    await sees(market, cast, "Ana", "O1 O2 O3 O6 O7 new")
    await edits(market, cast, "Ana", new="yes")
    await sees(market, cast, "Bruno", "O2 O3 new")
    await edits(market, cast, "Bruno", new="assignment-ended")


async def test_reports_added_to_sellers_permissions_widen_to_everything(
    market: OrdersService, cast: Cast
) -> None:
    member_id = cast.people["Ana"].member_id
    cast.people["Ana"] = await market.shop.member(
        permissions=["seller", "reports"], member_id=member_id
    )
    await sees(market, cast, "Ana", "O1 O2 O3 O4 O5 O6 O7")
    await edits(market, cast, "Ana", **dict.fromkeys(cast.orders, "yes"))


async def test_without_the_setting_an_author_loses_orders_with_the_customer(
    market: OrdersService, cast: Cast
) -> None:
    await market.shop.settings(author_keeps_order_view=False)
    market.customers.hand_over(cast.c1_main, cast.people["Bruno"].member_id, datetime.now(UTC))
    await market.tell()
    await sees(market, cast, "Ana", "O2 O3")
