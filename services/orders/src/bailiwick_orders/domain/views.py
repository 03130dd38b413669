"""What is read of orders, and what lists of them are narrowed by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from bailiwick_orders.domain.order import Line, Order


@dataclass(frozen=True)
class Filters:
    """What a list of orders is narrowed by; all of it holds at once."""

    customer_id: UUID | Literal["former"] | None = None
    """`former`: orders whose customer is masked for the caller, who represents it no more."""
    country: str | None = None
    """Of the customer's primary address as it is now; `none`: it has none."""
    currency: str | None = None
    states: tuple[str, ...] = ()
    source: str | None = None
    author_id: UUID | Literal["others"] | None = None
    placed_by: UUID | None = None
    credited_to: UUID | Literal["house", "others"] | None = None
    """`house`: placed, and credited to nobody; `others`: placed, and not credited to the caller."""
    order_date_from: date | None = None
    order_date_to: date | None = None
    text: str | None = None
    """How the number begins, or words of the name that the order shows of its customer."""
    hides_customers: bool = False
    """Then customer and country find only what shows its customer to the caller."""

    @property
    def tells_of_customers(self) -> bool:
        """Whether being found tells who a customer is, or where."""
        return isinstance(self.customer_id, UUID) or self.country is not None


@dataclass(frozen=True)
class Seen:
    """An order as a reader finds it, with how they stand to it. Lists leave lines and note out."""

    order: Order
    net: Decimal
    facts: Mapping[str, object]

    @property
    def is_represented(self) -> bool:
        """Tell whether the reader is main or additional for its customer now."""
        return bool(self.facts["main"] or self.facts["additional"])


@dataclass(frozen=True)
class EarlierVersion:
    """What an edit replaced: an earlier version of an order's lines and note, and why it is one."""

    version: int
    lines: tuple[Line, ...]
    net: Decimal
    note: str | None
    replaced_at: datetime
    replaced_by: UUID
    reason: str | None
