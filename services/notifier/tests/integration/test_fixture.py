"""The fixture of the domain, its row about mail: who is told of which order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest

from bailiwick_contracts.customers import Assignment
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.notifier import NotifierService


@dataclass
class Cast:
    people: dict[str, Person]
    customers: dict[str, UUID]
    c1_main: Assignment


@pytest.fixture
async def cast(room: NotifierService) -> Cast:
    """Mia, Ana, Bruno, Tom, Zoe and the storefront; C1 to C4."""
    people = {
        "Mia": await room.person("Mia", "brand_manager"),
        "Ana": await room.person("Ana", permissions=["seller"]),
        "Bruno": await room.person("Bruno", "sales_representative"),
        "Tom": await room.person("Tom", "sales_assistant"),
        "Zoe": await room.person("Zoe", "custom_member", ticks={"prices": "edit"}),
        "buyer": await room.shop.member(kind="service", email=None),
    }
    told = room.customers
    customers = {name: told.customer(name) for name in ("C1", "C2", "C3", "C4")}
    c1_main = told.assign(customers["C1"], people["Ana"].member_id)
    told.assign(customers["C2"], people["Bruno"].member_id)
    told.assign(customers["C2"], people["Ana"].member_id, "additional")
    told.assign(customers["C4"], people["Mia"].member_id)
    await room.tell()
    return Cast(people, customers, c1_main)


@pytest.mark.parametrize(
    ("order", "customer", "by", "told"),
    [
        ("O1", "C1", "buyer", ["Ana"]),
        ("O2", "C2", "Bruno", []),
        ("O3", "C2", "Ana", ["Bruno"]),
        ("O4", "C3", "buyer", ["Mia"]),
        ("O5", "C4", "Mia", []),
        ("O6", "C1", "Mia", ["Ana"]),
        ("O7", "C1", "Ana", []),
        ("Tom's", "C1", "Tom", ["Ana"]),
    ],
)
async def test_mail_when_placed(
    room: NotifierService, cast: Cast, order: str, customer: str, by: str, told: list[str]
) -> None:
    placed = await room.come_in(cast.customers[customer], cast.people[by])
    assert room.mailed() == told, order
    assert [row["state"] for row in await room.deliveries(placed)] == ["sent"] * len(told)


async def test_from_the_handover_on_the_next_order_mails_bruno(
    room: NotifierService, cast: Cast
) -> None:
    at = room.clock.now() + timedelta(hours=1)
    room.customers.hand_over(cast.c1_main, cast.people["Bruno"].member_id, at)
    await room.tell()

    room.clock.instant = at - timedelta(microseconds=1)
    await room.come_in(cast.customers["C1"], cast.people["Mia"])
    assert room.mailed() == ["Ana"]
    room.clock.instant = at
    await room.come_in(cast.customers["C1"], cast.people["Mia"])
    assert room.mailed() == ["Bruno"]


async def test_a_mail_not_out_yet_when_the_customer_changes_hands_is_suppressed_and_not_replaced(
    room: NotifierService, cast: Cast
) -> None:
    at = room.clock.now() + timedelta(hours=1)
    room.customers.hand_over(cast.c1_main, cast.people["Bruno"].member_id, at)
    await room.tell()
    order = room.order(cast.customers["C1"], cast.people["Mia"])
    await room.take(order)
    await room.fixing().round()

    await room.later(hours=1)

    assert room.mailed() == []
    [delivery] = await room.deliveries(order)
    assert delivery["member_id"] == cast.people["Ana"].member_id
    assert (delivery["state"], delivery["last_problem"]) == ("suppressed", "out-of-sight")
    assert delivery["attempts"] == 0
