"""A running orders service with made-up customers: what its tests arrange and send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2

from bailiwick_contracts.envelope import Sequenced
from bailiwick_orders.store.replica import CustomersReplica
from bailiwick_testkit.fakes.customers import MadeUpCustomers
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

PATH = "/v1/orders"


@dataclass
class OrdersService:
    """A shop with customers. `tell` lets orders know what customers did since it was last called."""

    shop: ServiceUnderTest
    customers: MadeUpCustomers
    told: int = 0

    async def tell(self) -> None:
        """Apply the new events in order, each in a transaction, as the consumer would."""
        for event in self.customers.told[self.told :]:
            await self.apply(event)
        self.told = self.customers.head

    async def apply(self, event: Sequenced) -> None:
        """Apply one event, whatever was applied before."""
        async with self.shop.database.writing(event.org_id) as connection:
            await CustomersReplica().appliers()[type(event)](connection, [event])

    async def customer(
        self, name: str = "Librería Sol", main: Person | None = None, **more: Any
    ) -> UUID:
        """Make a customer, with a main representative if one is named."""
        customer_id = self.customers.customer(name, **more)
        if main is not None:
            self.customers.assign(customer_id, main.member_id)
        await self.tell()
        return customer_id

    async def create(
        self, who: Person, customer_id: UUID, *, headers: Any = None, **body: Any
    ) -> httpx2.Response:
        """Send an order as somebody, and return the answer."""
        sent = an_order(customer_id, **body)
        return await self.shop.api.post(who, PATH, sent, headers=headers)

    async def order(self, who: Person, customer_id: UUID, **body: Any) -> dict[str, Any]:
        """Create an order as somebody, and return it with its `path`."""
        answer = await self.create(who, customer_id, **body)
        assert answer.status_code == 201, answer.text  # noqa: PLR2004, S101 - for tests only
        return {**answer.json(), "path": answer.headers["location"]}

    async def act(
        self, who: Person, path: str, verb: str, etag: str | None = "*", body: Any = None
    ) -> httpx2.Response:
        """Place, confirm, fulfil or cancel an order."""
        headers = {"If-Match": etag} if etag else {}
        return await self.shop.api.post(who, f"{path}/{verb}", body, headers=headers)


def an_order(customer_id: UUID | str, **changes: Any) -> dict[str, Any]:
    """Return the body of a valid order, with changes."""
    return {"customer_id": str(customer_id), "source": "phone", "lines": [a_line()], **changes}


def a_line(
    quantity: str = "2", amount: str = "10.00", currency: str = "EUR", **changes: Any
) -> dict[str, Any]:
    """Return a valid line, with changes."""
    price = {"amount": amount, "currency": currency}
    return {"sku": "TEA-1", "name": "Tea", "quantity": quantity, "unit_price": price, **changes}
