"""Random small companies: list ⇔ count ⇔ by id ⇔ every verb ⇔ the oracle in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, cast
from uuid import UUID, uuid4

import httpx2
import pytest
from typing_extensions import override
from uuid_utils.compat import uuid7

from bailiwick_contracts.customers import CustomerStatus
from bailiwick_orders.domain.change import Change, Happening
from bailiwick_orders.domain.order import Line, Order, Source, State, random_number
from bailiwick_orders.store.imports import OpenImport
from bailiwick_orders.store.tables import orders
from bailiwick_testkit.fakes.customers import MadeUpCustomers
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.policy.oracle import Member, Oracle, World
from bailiwick_testkit.policy.oracle import Order as Drawn
from bailiwick_testkit.services.effects import Acting, hold_answer
from bailiwick_testkit.services.orders import PATH, OrdersService
from bailiwick_testkit.services.random_worlds import drawn, moved_in, of_one_organization
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

VERBS = ("edit", "place", "confirm", "fulfil", "cancel")
STALE = '"v999"'
BEFORE = {
    "edit": {"draft", "placed", "confirmed"},
    "place": {"draft"},
    "confirm": {"placed"},
    "fulfil": {"confirmed"},
    "cancel": {"draft", "placed", "confirmed"},
}
"""The states in which a verb does something (domain §5)."""
AFTER = {"place": "placed", "confirm": "confirmed", "fulfil": "fulfilled", "cancel": "cancelled"}
CUSTOMERS = {"place": {"approved"}, "confirm": {"approved", "pending"}}
"""The states of a customer in which a verb does something; every other verb: in each (domain §3)."""


@dataclass
class Staged:
    """A world in the service: who is who there."""

    market: OrdersService
    people: Mapping[str, Person]
    customers: Mapping[str, UUID]
    orders: Mapping[str, UUID]


async def staged(shop: ServiceUnderTest, world: World) -> Staged:
    """Make the world in an organization of its own; a half of the assignments come after the orders."""
    now = datetime.now(UTC)
    shop, people = await moved_in(shop, world)
    market = OrdersService(shop, MadeUpCustomers(shop.org_id))
    told = market.customers
    customers = {
        one.id: told.customer(
            one.id,
            status=cast("CustomerStatus", one.status),
            created_by=people[one.created_by].member_id,
        )
        for one in world.customers
    }
    written_orders: dict[str, UUID] = {}
    for place, one in enumerate([*world.assignments, None]):
        if place == len(world.assignments) // 2:
            await market.tell()
            written_orders = await written(market, world, people, customers, now)
        if one is not None:
            told.assign(
                customers[one.customer_id],
                people[one.member_id].member_id,
                "main" if one.is_main else "additional",
                valid_from=now + (one.valid_from - world.now),
                valid_to=now + (one.valid_to - world.now),
            )
    await market.tell()
    return Staged(market, people, customers, written_orders)


async def written(
    market: OrdersService,
    world: World,
    people: Mapping[str, Person],
    customers: Mapping[str, UUID],
    now: datetime,
) -> dict[str, UUID]:
    """Write the world's orders, each in its state."""
    org_id = market.shop.org_id
    async with OpenImport(market.shop.database)(org_id, now) as unit:
        found = await unit.customers(customers.values())
        made = [
            Order(
                org_id=org_id,
                order_id=uuid7(),
                number=random_number(),
                customer_id=customers[one.customer_id],
                customer_name=one.customer_id,
                author_id=people[one.author].member_id,
                source=Source.OTHER,
                currency="EUR",
                lines=(Line("A", "A", Decimal(1), Decimal(1)),),
                listed_at=now - timedelta(days=place),
                state=State(one.state),
                author_keeps_view=one.author_keeps_view,
            )
            for place, one in enumerate(world.orders)
        ]
        await unit.add(
            [
                (
                    order,
                    Change(Happening.PLACED, uuid4(), now, found[order.customer_id].representation),
                )
                for order in made
            ]
        )
    return {one.id: order.order_id for one, order in zip(world.orders, made, strict=True)}


@pytest.mark.parametrize("seed", range(2))
async def test_every_answer_is_the_oracles(shop: ServiceUnderTest, seed: int) -> None:
    asked = 0
    for world in drawn(seed, 3, of_one_organization):
        stage = await staged(shop, world)
        oracle, api = Oracle(world), shop.api
        for member in world.members:
            who = stage.people[member.id]
            seen = {
                str(stage.orders[one.id])
                for one in world.orders
                if oracle.answer(member, "orders", "view", one).visible
            }
            general = oracle.answer(member, "orders", "view")
            listed, counted = await api.get(who, PATH), await api.get(who, f"{PATH}/count")
            if general.capable:
                assert {one["order_id"] for one in listed.json()["items"]} == seen, (seed, member)
                assert counted.json() == {"count": len(seen)}
            else:
                assert listed.status_code == counted.status_code == 403
                assert tuple(listed.json()["reasons"]) == general.reasons
            for order in world.orders:
                path = f"{PATH}/{stage.orders[order.id]}"
                answer = oracle.answer(member, "orders", "view", order)
                hold_answer(await api.get(who, path), answer, 200, (seed, member, "view", order))
                for verb in VERBS:
                    answer = oracle.answer(member, "orders", verb, order)
                    # A version that never was: 412 says that everything before it was passed.
                    if verb == "edit":
                        response = await api.patch(who, path, {}, STALE)
                    else:
                        response = await stage.market.act(who, path, verb, STALE)
                    hold_answer(response, answer, 412, (seed, member, verb, order))
                    asked += 1
            for customer in world.customers:
                answer = oracle.answer(member, "orders", "create", customer)
                body = {"customer_id": str(stage.customers[customer.id])}
                response = await api.post(who, PATH, body)
                hold_answer(response, answer, 422, (seed, member, "create", customer))
                asked += 1
    assert asked > 200


class Orders(Acting[Drawn]):
    """What the verbs of orders do."""

    resource, path, table = "orders", PATH, orders
    verbs: ClassVar = {verb: verb for verb in VERBS}

    @override
    def rows(self) -> Sequence[Drawn]:
        return self.world.orders

    @override
    def with_rows(self, rows: Sequence[Drawn]) -> World:
        return replace(self.world, orders=tuple(rows))

    @override
    def effect(self, verb: str, row: Drawn, by: Member) -> Drawn | None:
        [status] = [one.status for one in self.world.customers if one.id == row.customer_id]
        if row.state not in BEFORE[verb] or status not in CUSTOMERS.get(verb, {status}):
            return None
        after = replace(row, state=AFTER.get(verb, row.state))
        if verb != "place":
            return after
        relation = Oracle(self.world).relation(row.author, row.customer_id)
        represents = relation.main or relation.additional
        return replace(after, author_keeps_view=row.author == by.id or represents)

    @override
    def columns(self, row: Drawn) -> dict[str, Any]:
        return {"state": row.state, "author_keeps_view": row.author_keeps_view}

    @override
    async def send(self, who: Person, verb: str, path: str) -> httpx2.Response:
        if verb == "edit":
            body = {"note": uuid4().hex, "reason": "a wish"}
            return await self.shop.api.patch(who, path, body, "*")
        return await self.shop.api.post(who, f"{path}/{verb}", headers={"If-Match": "*"})


@pytest.mark.parametrize("seed", range(2))
async def test_a_verb_changes_what_the_oracle_allows_and_nothing_else(
    shop: ServiceUnderTest, seed: int
) -> None:
    done = Counter[bool]()
    found = drawn(seed, 16, of_one_organization)
    found.sort(key=lambda world: -len(Orders(shop, world, {}, {}).working))
    for world in found[:3]:
        stage = await staged(shop, world)
        acting = Orders(stage.market.shop, world, stage.people, stage.orders)
        done.update(await acting.hold_some(8, seed))
    assert min(done[True], done[False]) >= 16
