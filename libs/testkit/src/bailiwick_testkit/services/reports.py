"""A running reports service with made-up customers and orders: what its tests arrange and read."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bailiwick_contracts.customers import Assignment
from bailiwick_reports.store import cube
from bailiwick_reports.store.replica import CustomersReplica
from bailiwick_testkit.fakes.customers import MadeUpCustomers
from bailiwick_testkit.fakes.orders import MadeUpOrders
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

PATH = "/v1/reports"
_OK = 200


@dataclass
class ReportsService:
    """Reports of a shop. `tell` lets it know what customers and orders did since it was last called."""

    shop: ServiceUnderTest
    customers: MadeUpCustomers
    orders: MadeUpOrders
    told_customers: int = 0
    told_orders: int = 0

    @classmethod
    def of(cls, shop: ServiceUnderTest) -> ReportsService:
        """Set up a desk for the shop's organization."""
        return cls(shop, MadeUpCustomers(shop.org_id), MadeUpOrders(shop.org_id))

    async def tell(self) -> None:
        """Take the new events in order, each in a transaction, as the consumers would."""
        appliers = CustomersReplica().appliers()
        for event in self.customers.told[self.told_customers :]:
            async with self.shop.database.writing(event.org_id) as connection:
                await appliers[type(event)](connection, [event])
        for order in self.orders.told[self.told_orders :]:
            async with self.shop.database.writing(order.org_id) as connection:
                await cube.count(connection, [order])
        self.told_customers, self.told_orders = len(self.customers.told), len(self.orders.told)

    async def hand_over(self, held: Assignment, to: Person) -> Assignment:
        """Give a customer to another member, now."""
        new = self.customers.hand_over(held, to.member_id, datetime.now(UTC))
        await self.tell()
        return new

    async def read(self, who: Person, report: str) -> dict[str, Any]:
        """Read a report: `sales?by=month`."""
        answer = await self.shop.api.get(who, f"{PATH}/{report}")
        assert answer.status_code == _OK, answer.text  # noqa: S101 - for tests only
        body: dict[str, Any] = answer.json()
        return body

    async def exported(self, who: Person, report: str, query: str = "") -> list[dict[str, str]]:
        """Read a report's export as CSV."""
        answer = await self.shop.api.get(who, f"{PATH}/{report}/export?format=csv&{query}")
        assert answer.status_code == _OK, answer.text  # noqa: S101 - for tests only
        text = answer.content.decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text, newline="")))


@dataclass
class Cast:
    """Who and what the domain's fixture is about. `c1_main` is Ana's assignment to C1."""

    desk: ReportsService
    people: dict[str, Person]
    customers: dict[str, UUID]
    orders: dict[str, UUID]
    c1_main: Assignment

    def name_of(self, value: str) -> str:
        """Return who or what is meant by an id; anything else as it is."""
        ids = {str(person.member_id): name for name, person in self.people.items()}
        ids |= {str(customer_id): name for name, customer_id in self.customers.items()}
        return ids.get(value, value)


async def cast_of(shop: ServiceUnderTest) -> Cast:
    """Set the domain's fixture up: Mia, Ana, Bruno, Tom, Zoe, the storefront; C1 to C4; O1 to O7, placed."""
    desk = ReportsService.of(shop)
    people = {
        "Mia": await shop.member("brand_manager", name="Mia"),
        "Ana": await shop.member(permissions=["seller"], name="Ana"),
        "Bruno": await shop.member("sales_representative", name="Bruno"),
        "Tom": await shop.member("sales_assistant", name="Tom"),
        "Zoe": await shop.member("custom_member", ticks={"prices": "edit"}, name="Zoe"),
        "buyer": await shop.member(kind="service"),
    }
    told = desk.customers
    customers = {name: told.customer(name) for name in ("C1", "C2", "C3", "C4")}
    ids = {name: person.member_id for name, person in people.items()}
    c1_main = told.assign(customers["C1"], ids["Ana"])
    told.assign(customers["C2"], ids["Bruno"])
    told.assign(customers["C2"], ids["Ana"], "additional")
    told.assign(customers["C4"], ids["Mia"])
    orders = {
        name: desk.orders.placed(customers[customer], ids[who], ids[credit] if credit else None)
        for name, customer, who, credit in (
            ("O1", "C1", "buyer", "Ana"),
            ("O2", "C2", "Bruno", "Bruno"),
            ("O3", "C2", "Ana", "Ana"),
            ("O4", "C3", "buyer", None),
            ("O5", "C4", "Mia", "Mia"),
            ("O6", "C1", "Mia", "Mia"),
            ("O7", "C1", "Ana", "Ana"),
        )
    }
    await desk.tell()
    return Cast(desk, people, customers, orders, c1_main)
