"""What the actions need of the store, so that they can be read, and tested, without it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal, Protocol
from uuid import UUID

from bailiwick_access.caller import Caller
from bailiwick_access.requests import Reading
from bailiwick_kit.policy.client import Masks
from bailiwick_kit.policy.scope import Scope
from bailiwick_kit.web.idempotency import Claim, Replay
from bailiwick_orders.domain.customer import Customer
from bailiwick_orders.domain.order import Line, Order
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
class Viewed:
    """An order that its reader may view, with what policy shows them less of."""

    seen: Seen
    masks: Masks

    @property
    def version(self) -> int:
        """The order's version."""
        return self.seen.order.version


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


class Queries(Protocol):
    """Reads orders through what a caller may see."""

    async def page(
        self,
        reading: Reading,
        scope: Scope,
        filters: Filters,
        *,
        limit: int,
        after: tuple[datetime, UUID] | None,
    ) -> list[Seen]:
        """Return up to `limit` orders, newest first."""
        ...

    async def count(self, reading: Reading, scope: Scope, filters: Filters) -> int:
        """Return exactly how many there are."""
        ...

    async def facts(self, reading: Reading, order_id: UUID) -> Mapping[str, object] | None:
        """Return what policy is told of an order and the caller. It takes as long where there is none."""
        ...

    async def one(self, reading: Reading, order_id: UUID) -> Seen | None:
        """Return an order that the caller may view."""
        ...

    async def earlier_versions(
        self, reading: Reading, order_id: UUID, *, limit: int, before: int | None
    ) -> list[EarlierVersion]:
        """Return up to `limit` earlier versions of an order that may be viewed, latest first."""
        ...


class Unit(Protocol):
    """One transaction: everything in it happens, or nothing does."""

    async def customer_facts(
        self, customer_id: UUID, member_id: UUID
    ) -> Mapping[str, object] | None:
        """Return what policy is told of a customer and a member. It takes as long where there is none."""
        ...

    async def customer(self, customer_id: UUID) -> FoundCustomer | None:
        """Return the customer; it is reassigned before this transaction or after it, not meanwhile.

        From here on this is the transaction's now (D7): whoever waited may have lost the customer.
        """
        ...

    async def order_facts(self, order_id: UUID, member_id: UUID) -> Mapping[str, object] | None:
        """Return what policy is told of an order and a member. It takes as long where there is none."""
        ...

    async def order(self, order_id: UUID) -> FoundOrder | None:
        """Return the order, kept from changing, and its customer, kept from being reassigned.

        From here on this is the transaction's now, as with `customer`.
        """
        ...

    async def subject(self, member_id: UUID) -> Mapping[str, object] | None:
        """Return what policy is told of a member, None where the replica does not know them."""
        ...

    async def add(self, order: Order, change: Change) -> None:
        """Write a new order with its visibility and audit, and tell the bus.

        Raises:
            NumberTaken: its number has just been given to another one.
        """
        ...

    async def save(self, before: Order, order: Order, change: Change) -> None:
        """Write a changed order with its audit, and tell the bus; an edit keeps what was before."""
        ...

    async def again(self, caller: Caller) -> Caller:
        """Return the caller as of the last lock that was waited for: with the rights that held then."""
        ...

    async def earlier(self, claim: Claim | None) -> Replay | None:
        """Return what the same request did before; keeps a second one out until this one ends."""
        ...

    async def remember(self, claim: Claim | None, order_id: UUID) -> None:
        """Keep what this request made, for its repetition."""
        ...


class OpenUnit(Protocol):
    """Opens a transaction in one organization."""

    def __call__(self, org_id: UUID, now: datetime) -> AbstractAsyncContextManager[Unit]:
        """Open it; commits on a clean exit."""
        ...
