"""What happens to an order, and what it is decided on: the order, its customer, who represents that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from bailiwick_orders.domain.customer import Customer
from bailiwick_orders.domain.order import Order
from bailiwick_orders.domain.representation import Representation


class Happening(StrEnum):
    """What can happen to an order; each is told to the bus, whole (D17)."""

    DRAFTED = "drafted"
    PLACED = "placed"
    EDITED = "edited"
    CONFIRMED = "confirmed"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True)
class Change:
    """What happened to an order, by whom and when, and who represented its customer then."""

    happening: Happening
    by: UUID
    at: datetime
    representation: Representation
    reason: str | None = None


@dataclass(frozen=True)
class FoundCustomer:
    """A customer with its representatives."""

    customer: Customer
    representation: Representation

    def facts(self, member_id: UUID) -> Mapping[str, object]:
        """Return what policy is told of the customer and the member."""
        return {
            **self.representation.facts(member_id),
            "org_id": str(self.customer.org_id),
            "author": self.customer.created_by == member_id,
            "status": self.customer.status,
        }


@dataclass(frozen=True)
class FoundOrder:
    """An order with its customer and who represents that."""

    order: Order
    customer: Customer
    representation: Representation

    def facts(self, member_id: UUID) -> Mapping[str, object]:
        """Return what policy is told of the order and the member (D10)."""
        return {
            **self.representation.facts(member_id),
            "org_id": str(self.order.org_id),
            "author": self.order.author_id == member_id,
            "author_keeps_view": self.order.author_keeps_view,
            "state": self.order.state.value,
        }
