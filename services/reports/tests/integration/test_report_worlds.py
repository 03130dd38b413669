"""Random small companies: what reports count ⇔ what orders shows, by the oracle in plain Python.

Each order has a number of pieces of its own, a power of two: a sum says exactly which orders are in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from bailiwick_contracts.customers import CustomerStatus
from bailiwick_testkit.fakes.orders import a_line
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.policy.oracle import Member, Oracle, Order, World, is_restricted
from bailiwick_testkit.services.random_worlds import drawn, moved_in, of_one_organization
from bailiwick_testkit.services.reports import PATH, ReportsService
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

COUNTING = ("placed", "confirmed", "fulfilled")


def fit(world: World) -> World:
    """Return a world whose first two members are a representative and a manager: none is about nobody."""
    first, second, *others = world.members
    known = (Member(first.id, role="sales_representative"), Member(second.id, role="brand_manager"))
    return replace(of_one_organization(world), members=(*known, *others))


@dataclass
class Staged:
    """A world in the service: who is who there."""

    desk: ReportsService
    people: Mapping[str, Person]
    customers: Mapping[str, UUID]


async def staged(shop: ServiceUnderTest, world: World) -> Staged:
    """Make the world in an organization of its own."""
    shop, people = await moved_in(shop, world)
    desk = ReportsService.of(shop)
    customers = {
        one.id: desk.customers.customer(one.id, status=cast("CustomerStatus", one.status))
        for one in world.customers
    }
    now = datetime.now(UTC)
    for assignment in world.assignments:
        desk.customers.assign(
            customers[assignment.customer_id],
            people[assignment.member_id].member_id,
            "main" if assignment.is_main else "additional",
            valid_from=now + (assignment.valid_from - world.now),
            valid_to=now + (assignment.valid_to - world.now),
        )
    for place, order in enumerate(world.orders):
        write(desk, customers[order.customer_id], people[order.author].member_id, order, place)
    await desk.tell()
    return Staged(desk, people, customers)


def write(
    desk: ReportsService, customer_id: UUID, author_id: UUID, order: Order, place: int
) -> None:
    lines = [a_line(str(2**place), "1")]
    if order.state == "draft":
        desk.orders.draft(customer_id, author_id, lines=lines)
        return
    order_id = desk.orders.placed(
        customer_id, author_id, author_id, lines=lines, author_keeps_view=order.author_keeps_view
    )
    if order.state in {"confirmed", "fulfilled"}:
        desk.orders.confirm(order_id)
    if order.state == "fulfilled":
        desk.orders.fulfil(order_id)
    if order.state == "cancelled":
        desk.orders.cancel(order_id)


def pieces(world: World, orders: Iterable[Order]) -> int:
    return sum(2 ** world.orders.index(one) for one in orders)


def figures(rows: Iterable[Mapping[str, Any]]) -> tuple[int, int, int]:
    """Return orders, pieces and cancelled orders of all rows."""
    found = [(row["orders"], int(row["pieces"]), row["cancelled"]["orders"]) for row in rows]
    return (sum(a for a, _, _ in found), sum(b for _, b, _ in found), sum(c for _, _, c in found))


async def compare(stage: Staged, world: World, member: Member) -> int:
    """Hold everything that one member is told; return how many orders they see."""
    oracle, who = Oracle(world), stage.people[member.id]
    seen = [
        one
        for one in world.orders
        if oracle.answer(member, "orders", "view", one).visible and one.state != "draft"
    ]
    if not is_restricted(member):  # who has reports need not have orders
        seen = [one for one in world.orders if one.state != "draft"]
    counting = [one for one in seen if one.state in COUNTING]
    expected = (len(counting), pieces(world, counting), len(seen) - len(counting))
    for query in ("", "?by=author&by=customer", "?by=country&by=month", "?by=credited_to"):
        body = await stage.desk.read(who, f"sales{query}")
        assert figures(body["rows"]) == figures(body["totals"]) == expected, (member, query)
    exported = await stage.desk.exported(who, "sales", "by=customer&by=author")
    assert sum(int(row["orders"]) for row in exported) == len(counting)

    names = {str(one): name for name, one in stage.customers.items()}
    rows = (await stage.desk.read(who, "sales?by=customer"))["rows"]
    by_customer = {
        names.get(row["by"][0]["value"], row["by"][0]["value"]): row["orders"] for row in rows
    }
    wanted: dict[str, int] = {}
    for one in seen:
        relation = oracle.relation(member.id, one.customer_id)
        is_told = not is_restricted(member) or relation.main or relation.additional
        key = one.customer_id if is_told else "former"
        wanted[key] = wanted.get(key, 0) + (one.state in COUNTING)
    assert by_customer == wanted, member

    authors = {
        one["by"][0]["value"] for one in (await stage.desk.read(who, "sales?by=author"))["rows"]
    }
    if is_restricted(member):
        assert authors <= {str(who.member_id), "others"}
    else:
        assert authors == {str(stage.people[one.author].member_id) for one in seen}

    held = {
        one.id
        for one in world.customers
        if oracle.relation(member.id, one.id).main or oracle.relation(member.id, one.id).additional
    }
    portfolio = (await stage.desk.read(who, "portfolio"))["rows"]
    told = {row["customer"]["name"] for row in portfolio}
    assert told == (held if is_restricted(member) else {one.id for one in world.customers})

    own = [one for one in world.orders if one.author == member.id and one.state in COUNTING]
    credit = figures((await stage.desk.read(who, "credit"))["totals"])
    assert credit[:2] == (len(own), pieces(world, own)), member
    return len(seen)


@pytest.mark.parametrize("seed", range(2))
async def test_reports_count_exactly_what_the_oracle_lets_a_member_see(
    shop: ServiceUnderTest, seed: int
) -> None:
    restricted = counted = 0
    for world in drawn(seed, 5, fit):
        stage = await staged(shop, world)
        for member in world.members:
            answer = Oracle(world).answer(member, "reports", "view")
            if answer.capable:
                counted += await compare(stage, world, member)
                restricted += is_restricted(member)
            else:
                refused = await shop.api.get(stage.people[member.id], f"{PATH}/sales")
                assert refused.status_code == 403, member
                assert tuple(refused.json()["reasons"]) == answer.reasons
            team = await shop.api.get(stage.people[member.id], f"{PATH}/team")
            allowed = Oracle(world).answer(member, "reports", "team").capable
            assert team.status_code == (200 if allowed else 403), member
    assert restricted >= 5
    assert counted > 5
