"""A customer, as far as ordering is concerned: who they are, and whether they may order."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from bailiwick_orders.domain.errors import CustomerStateForbids

APPROVED = "approved"
SUSPENDED = "suspended"


@dataclass(frozen=True)
class Customer:
    """A customer as customers last told us."""

    org_id: UUID
    customer_id: UUID
    name: str
    status: str
    created_by: UUID

    def check_orders_are_placed(self) -> None:
        """Make sure that orders may be placed for the customer now (domain §3).

        Raises:
            CustomerStateForbids: they wait for approval, or are suspended.
        """
        if self.status != APPROVED:
            raise CustomerStateForbids("Orders are placed for approved customers only.")

    def check_more_is_payable(self) -> None:
        """Make sure that what the customer has to pay may be confirmed, or rise (domain §3).

        Raises:
            CustomerStateForbids: they are suspended.
        """
        if self.status == SUSPENDED:
            raise CustomerStateForbids(
                "The customer is suspended: orders may be lowered or cancelled, not raised or confirmed."
            )
