"""What is read of customers, and what lists of them are narrowed by."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bailiwick_customers.domain.customer import Customer


@dataclass(frozen=True)
class Found:
    """A customer with the facts that policy decides on: how the caller stands to it."""

    customer: Customer
    facts: Mapping[str, object]


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

    `parent_relations` says how the reader stands to its parent: policy says with which they may know of it.
    """

    customer: Customer
    main_id: UUID | None
    additional_ids: tuple[UUID, ...]
    parent_relations: AbstractSet[str]


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


@dataclass(frozen=True)
class Membership:
    """What policy is told of a member, but for when: that is [valid_from, valid_until)."""

    subject: Mapping[str, object]
    valid_from: datetime
    valid_until: datetime
