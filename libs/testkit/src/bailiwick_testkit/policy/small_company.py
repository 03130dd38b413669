"""A small company at one instant, as the oracle is asked about it. It imports the standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

ORGANIZATION = "here"
ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Settings:
    """The organization's choices that decide who may do what, at their defaults."""

    creator_keeps_access: bool = False
    author_keeps_order_view: bool = True
    additional_full_rights: bool = False


@dataclass(frozen=True)
class Member:
    """A membership: a role, or a set of permissions; a storefront where `is_storefront`."""

    id: str
    role: str | None = None
    permissions: tuple[str, ...] = ()
    ticks: tuple[tuple[str, str], ...] = ()
    is_storefront: bool = False
    status: str = "active"
    expired: bool = False
    org_id: str = ORGANIZATION


@dataclass(frozen=True)
class Assignment:
    """Who serves a customer, as main or additional, from one instant to before another."""

    customer_id: str
    member_id: str
    is_main: bool
    valid_from: datetime
    valid_to: datetime


@dataclass(frozen=True)
class Customer:
    """A customer and who created it."""

    id: str
    created_by: str
    status: str = "approved"
    org_id: str = ORGANIZATION


@dataclass(frozen=True)
class Order:
    """An order, for whom, and who wrote it.

    `author_keeps_view` was fixed when it was placed: its author placed it, or represented the customer then.
    It is false for what was never placed.
    """

    id: str
    customer_id: str
    author: str
    state: str = "placed"
    author_keeps_view: bool = True
    org_id: str = ORGANIZATION


@dataclass(frozen=True)
class Delivery:
    """A mail to a member, and what became of it."""

    id: str
    recipient: str
    state: str = "sent"
    org_id: str = ORGANIZATION


@dataclass(frozen=True)
class Preference:
    """Which mails a member wants."""

    member_id: str
    org_id: str = ORGANIZATION


Row: TypeAlias = Customer | Order | Delivery | Preference | Member


@dataclass(frozen=True)
class World:
    """A small company at one instant."""

    now: datetime
    settings: Settings
    members: tuple[Member, ...]
    customers: tuple[Customer, ...]
    orders: tuple[Order, ...]
    assignments: tuple[Assignment, ...]
    deliveries: tuple[Delivery, ...] = ()
    preferences: tuple[Preference, ...] = ()
