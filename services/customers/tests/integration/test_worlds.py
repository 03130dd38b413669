"""Random small companies: list ⇔ count ⇔ by id ⇔ every verb ⇔ the oracle in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

import httpx2
import pytest
from typing_extensions import override

from bailiwick_customers.domain.assignment import Assignment, Changeset, Origin, Relation
from bailiwick_customers.domain.customer import Customer, Status, random_code
from bailiwick_customers.store.tables import customers
from bailiwick_customers.store.unit_of_work import OpenUnit
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.policy.oracle import Assignment as Drawn
from bailiwick_testkit.policy.oracle import Customer as DrawnCustomer
from bailiwick_testkit.policy.oracle import Member, Oracle, World
from bailiwick_testkit.services.effects import Acting, hold_answer
from bailiwick_testkit.services.random_worlds import drawn, moved_in, of_one_organization
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

PATH = "/v1/customers"
STALE = '"v999"'
VERBS = {"edit": "", "edit_terms": "/terms", "approve": "/approve"}
BECOMES = {
    "approve": ("pending", "approved"),
    "suspend": ("approved", "suspended"),
    "reinstate": ("suspended", "approved"),
}
"""Verb → in which state it does something, and what the customer is then (domain §3)."""


def fit(world: World) -> World:
    """Return a world that the database would hold: without two mains at once."""
    here = of_one_organization(world)
    held: list[Drawn] = []
    for one in here.assignments:
        if one.valid_from <= one.valid_to and not any(clash(one, old) for old in held):
            held.append(one)
    return replace(here, assignments=tuple(held))


def clash(one: Drawn, other: Drawn) -> bool:
    both = one.customer_id == other.customer_id and one.is_main and other.is_main
    return both and one.valid_from < other.valid_to and other.valid_from < one.valid_to


@dataclass
class Staged:
    """A world in the service: who is who there."""

    org_id: UUID
    people: Mapping[str, Person]
    customers: Mapping[str, UUID]


async def staged(shop: ServiceUnderTest, world: World) -> Staged:
    """Make the world in an organization of its own, through the service's own unit of work."""
    now = datetime.now(UTC)
    shop, people = await moved_in(shop, world)
    ids = {one.id: uuid4() for one in world.customers}
    async with OpenUnit(shop.database)(shop.org_id) as unit:
        for one in world.customers:
            await unit.customers.add(
                Customer(
                    org_id=shop.org_id,
                    customer_id=ids[one.id],
                    code=random_code(),
                    name=one.id,
                    status=Status(one.status),
                    created_by=people[one.created_by].member_id,
                    created_at=now - timedelta(days=1),
                )
            )
        for held in world.assignments:
            changeset_id = uuid4()
            assignment = Assignment(
                org_id=shop.org_id,
                assignment_id=uuid4(),
                customer_id=ids[held.customer_id],
                member_id=people[held.member_id].member_id,
                relation=Relation.MAIN if held.is_main else Relation.ADDITIONAL,
                origin=Origin.DIRECT,
                valid_from=now + (held.valid_from - world.now),
                valid_to=now + (held.valid_to - world.now),
                created_by=uuid4(),
                changeset_id=changeset_id,
            )
            await unit.assignments.write(Changeset(changeset_id, now, (assignment,)))
    return Staged(shop.org_id, people, ids)


@pytest.mark.parametrize("seed", range(2))
async def test_every_answer_is_the_oracles(shop: ServiceUnderTest, seed: int) -> None:
    asked = 0
    for world in drawn(seed, 3, fit):
        stage = await staged(shop, world)
        oracle, api = Oracle(world), shop.api
        for member in world.members:
            who = stage.people[member.id]
            seen = {
                str(stage.customers[one.id])
                for one in world.customers
                if oracle.answer(member, "customers", "view", one).visible
            }
            listed, counted = await api.get(who, PATH), await api.get(who, f"{PATH}/count")
            if oracle.answer(member, "customers", "view").capable:
                assert {one["customer_id"] for one in listed.json()["items"]} == seen, (
                    seed,
                    member,
                )
                assert counted.json() == {"count": len(seen)}
            else:
                assert listed.status_code == counted.status_code == 403
            for customer in world.customers:
                path = f"{PATH}/{stage.customers[customer.id]}"
                answer = oracle.answer(member, "customers", "view", customer)
                hold_answer(await api.get(who, path), answer, 200, (seed, member, "view", customer))
                for verb, suffix in VERBS.items():
                    answer = oracle.answer(member, "customers", verb, customer)
                    # A version that never was: 412 says that everything before it was passed.
                    method = "POST" if verb == "approve" else "PATCH"
                    headers = {"If-Match": STALE}
                    response = await api.send(who, method, path + suffix, headers=headers, json={})
                    hold_answer(response, answer, 412, (seed, member, verb, customer))
                    asked += 1
    assert asked > 100


class Customers(Acting[DrawnCustomer]):
    """What the verbs of customers do."""

    resource, path, table = "customers", PATH, customers
    verbs: ClassVar = {
        "edit": "edit",
        "edit_terms": "edit_terms",
        **dict.fromkeys(BECOMES, "approve"),
    }

    @override
    def rows(self) -> Sequence[DrawnCustomer]:
        return self.world.customers

    @override
    def with_rows(self, rows: Sequence[DrawnCustomer]) -> World:
        return replace(self.world, customers=tuple(rows))

    @override
    def effect(self, verb: str, row: DrawnCustomer, by: Member) -> DrawnCustomer | None:
        del by  # whoever does it, it comes to the same
        before, after = BECOMES.get(verb, (row.status, row.status))
        return replace(row, status=after) if row.status == before else None

    @override
    def columns(self, row: DrawnCustomer) -> dict[str, Any]:
        return {"status": row.status}

    @override
    async def send(self, who: Person, verb: str, path: str) -> httpx2.Response:
        api = self.shop.api
        if verb == "edit":
            return await api.patch(who, path, {"tags": [uuid4().hex]}, "*")
        if verb == "edit_terms":
            return await api.patch(who, f"{path}/terms", {"payment_method": uuid4().hex}, "*")
        return await api.post(who, f"{path}/{verb}", headers={"If-Match": "*"})


@pytest.mark.parametrize("seed", range(2))
async def test_a_verb_changes_what_the_oracle_allows_and_nothing_else(
    shop: ServiceUnderTest, seed: int
) -> None:
    done = Counter[bool]()
    found = drawn(seed, 16, fit)
    found.sort(key=lambda world: -len(Customers(shop, world, {}, {}).working))
    for world in found[:3]:
        stage = await staged(shop, world)
        here = replace(shop, org_id=stage.org_id)
        acting = Customers(here, world, stage.people, stage.customers)
        done.update(await acting.hold_some(8, seed))
    assert min(done[True], done[False]) >= 16
