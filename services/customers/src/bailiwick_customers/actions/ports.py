"""What the actions need of the store, so that they can be read, and tested, without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.requests import Reading
from bailiwick_customers.domain.assignment import Assignment, Changeset
from bailiwick_customers.domain.customer import Customer
from bailiwick_kit.policy.client import Masks
from bailiwick_kit.policy.scope import Scope
from bailiwick_kit.web.idempotency import Claim, Replay


@dataclass(frozen=True)
class Found:
    """A customer with the facts that policy decides on: how the caller stands to it.

    Once that is decided, with what policy shows the caller less of.
    """

    customer: Customer
    facts: Mapping[str, object]
    masks: Masks = field(default_factory=dict)


@dataclass(frozen=True)
class Filters:
    """What a list of customers is narrowed by; all of it holds at once."""

    rep: UUID | None = None
    any_rep: UUID | None = None
    unassigned: bool | None = None
    country: str | None = None
    status: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Shown:
    """A customer as a reader gets it: with those who represent it now.

    `represents_parent` tells whether the reader represents its parent too, and so may know of it.
    """

    customer: Customer
    main_id: UUID | None
    additional_ids: tuple[UUID, ...]
    represents_parent: bool


@dataclass(frozen=True)
class Viewed:
    """A customer that its reader may view, with what policy shows them less of."""

    shown: Shown
    masks: Masks

    @property
    def version(self) -> int:
        """The customer's version."""
        return self.shown.customer.version


@dataclass(frozen=True)
class LookedUp:
    """What a look-up tells of a customer."""

    customer_id: UUID
    name: str
    city: str | None
    country: str | None
    listed_at: datetime


@dataclass(frozen=True)
class Representative:
    """A member who may have customers, and in which time."""

    member_id: UUID
    name: str | None
    valid_from: datetime
    valid_until: datetime


class Queries(Protocol):
    """Reads customers through what a caller may see."""

    async def page(
        self,
        reading: Reading,
        scope: Scope,
        filters: Filters,
        holding: Sequence[str],
        *,
        limit: int,
        after: tuple[datetime, UUID] | None,
    ) -> list[Shown]:
        """Return up to `limit` customers, newest first."""
        ...

    async def count(
        self, reading: Reading, scope: Scope, filters: Filters, holding: Sequence[str]
    ) -> int:
        """Return exactly how many there are."""
        ...

    async def holding(self, reading: Reading, gate: Gate) -> Sequence[str]:
        """Return the sets of rights with which a member's assignments count."""
        ...

    async def facts(self, reading: Reading, customer_id: UUID) -> Mapping[str, object] | None:
        """Return what policy is told of a customer and the caller. It takes as long where there is none."""
        ...

    async def one(self, reading: Reading, customer_id: UUID) -> Customer | None:
        """Return a customer that the caller may view."""
        ...

    async def shown(self, reading: Reading, found: Sequence[Customer]) -> list[Shown]:
        """Return customers that the caller may view, as a reader gets them."""
        ...

    async def look_up(
        self,
        reading: Reading,
        scope: Scope,
        *,
        text: str | None,
        code: str | None,
        customer_id: UUID | None,
        limit: int,
        after: tuple[datetime, UUID] | None,
    ) -> list[LookedUp]:
        """Return up to `limit` customers to order for, newest first."""
        ...

    async def history(self, reading: Reading, customer_id: UUID) -> list[Assignment]:
        """Return all assignments of a customer, latest first."""
        ...

    async def representatives(self, reading: Reading, gate: Gate) -> list[Representative]:
        """Return the members who may have customers, now or from a day to come, by name."""
        ...


class Customers(Protocol):
    """Customers of one organization, in one transaction."""

    async def facts(
        self, customer_id: UUID, member_id: UUID, now: datetime
    ) -> Mapping[str, object] | None:
        """Return what policy is told of a customer and a member. It takes as long where there is none."""
        ...

    async def lock(self, customer_id: UUID) -> None:
        """Keep the customer, if there is one, from changing until the transaction ends."""
        ...

    async def one(self, customer_id: UUID, member_id: UUID, now: datetime) -> Found | None:
        """Return the customer, with how a member stands to it at an instant."""
        ...

    async def is_above(self, customer_id: UUID, other_id: UUID) -> bool:
        """Tell whether the customer is the other one, its parent, its parent's parent and so on."""
        ...

    async def represents_parent(self, customer: Customer, caller: Caller) -> bool:
        """Tell whether the caller represents the customer's parent, and so sees which one it is."""
        ...

    async def shown(self, customer: Customer, member_id: UUID, at: datetime) -> Shown:
        """Return a customer of this transaction as a reader gets it who may view it, at an instant."""
        ...

    async def add(self, customer: Customer) -> None:
        """Write a new customer and tell the bus."""
        ...

    async def save(self, customer: Customer) -> None:
        """Write a changed customer and tell the bus."""
        ...

    async def is_code_taken(self, code: str) -> bool:
        """Tell whether the organization has a customer of that code."""
        ...


class Assignments(Protocol):
    """Assignments of one organization, in one transaction."""

    async def of(self, customer_id: UUID) -> Sequence[Assignment]:
        """Return all assignments of a customer, ended ones included."""
        ...

    async def write(self, changeset: Changeset, *, imported: bool = False) -> None:
        """Write what an act changed, with the visibility that follows, and tell the bus."""
        ...


class Members(Protocol):
    """The members of one organization, as this service knows them."""

    async def subject(self, member_id: UUID, now: datetime) -> Mapping[str, object] | None:
        """Return what policy is told of a member."""
        ...


class Unit(Protocol):
    """One transaction: everything in it happens, or nothing does."""

    customers: Customers
    assignments: Assignments
    members: Members

    @property
    def now(self) -> datetime:
        """The transaction's now (D7): its beginning, or its last turn."""
        ...

    async def turn(self) -> datetime:
        """Wait until no other change of the organization is being written; return the instant then.

        What counts from "now" counts from here: nothing that follows waits for anybody (D18).
        """
        ...

    async def again(self, caller: Caller) -> Caller:
        """Wait for one's turn; return the caller as of then, with the rights that hold then."""
        ...

    async def earlier(self, claim: Claim | None) -> Replay | None:
        """Return what the same request did before; keeps a second one out until this one ends."""
        ...

    async def remember(self, claim: Claim | None, entity_id: UUID) -> None:
        """Keep what this request made, for its repetition."""
        ...

    async def note(
        self,
        action: str,
        member_id: UUID,
        entity_id: UUID,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Add to the audit trail."""
        ...


class OpenUnit(Protocol):
    """Opens a transaction in one organization."""

    def __call__(self, org_id: UUID) -> AbstractAsyncContextManager[Unit]:
        """Open it; commits on a clean exit."""
        ...
