"""A customer: a retailer that buys wholesale, where they are, and the terms they buy on."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from bailiwick_customers.domain.errors import CustomerStateForbids, CustomerTooLarge
from bailiwick_kit.errors import Fault

CODE_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ23456789"
"""No vowels: a random code spells nothing (D5)."""

MOST_BYTES = 16 * 1024
"""The largest customer, as `size` counts."""


class Status(StrEnum):
    """Where a customer is in its life. Approved is what the sources call active."""

    PENDING = "pending"
    APPROVED = "approved"
    SUSPENDED = "suspended"


@dataclass(frozen=True)
class Contact:
    """A person to talk to."""

    name: str
    email: str | None = None
    phone: str | None = None
    title: str | None = None


@dataclass(frozen=True)
class Address:
    """A place. `country` is ISO 3166-1 alpha-2, `subdivision` ISO 3166-2."""

    country: str
    line1: str | None = None
    line2: str | None = None
    postal_code: str | None = None
    city: str | None = None
    subdivision: str | None = None
    primary: bool = False


_AS_KEPT = Decimal("0.0001")


@dataclass(frozen=True)
class Terms:
    """Commercial conditions (V4). `discount` is a fraction; `price_list` names one by its code."""

    price_list: str | None = None
    discount: Decimal | None = None
    payment_method: str | None = None
    shipping_method: str | None = None

    def __post_init__(self) -> None:
        """Write the discount as it is kept, with four decimals: what was sent reads as what is stored."""
        if self.discount is not None:
            object.__setattr__(self, "discount", self.discount.quantize(_AS_KEPT))


@dataclass(frozen=True)
class Customer:
    """A customer as it stands."""

    org_id: UUID
    customer_id: UUID
    code: str
    name: str
    status: Status
    created_by: UUID
    created_at: datetime
    version: int = 1
    tax_id: str | None = None
    contacts: tuple[Contact, ...] = ()
    addresses: tuple[Address, ...] = ()
    tags: tuple[str, ...] = ()
    parent_id: UUID | None = None
    terms: Terms = field(default_factory=Terms)
    imported: bool = False
    import_source: str | None = None
    external_ref: str | None = None

    @property
    def primary_address(self) -> Address | None:
        """The address that geography looks at: the one marked primary, else none."""
        return next((address for address in self.addresses if address.primary), None)

    def approve(self) -> Customer:
        """Let a customer who waits for approval order.

        Raises:
            CustomerStateForbids: it is approved already, or suspended.
        """
        if self.status is Status.SUSPENDED:
            raise CustomerStateForbids("The customer is suspended: reinstate them.")
        if self.status is not Status.PENDING:
            raise CustomerStateForbids("The customer is approved already.")
        return replace(self, status=Status.APPROVED, version=self.version + 1)

    def suspend(self) -> Customer:
        """Stop the customer from placing orders; who sees them stays the same.

        Raises:
            CustomerStateForbids: only an approved customer is suspended.
        """
        if self.status is not Status.APPROVED:
            raise CustomerStateForbids("Only an approved customer can be suspended.")
        return replace(self, status=Status.SUSPENDED, version=self.version + 1)

    def reinstate(self) -> Customer:
        """Let the customer order again after a suspension.

        Raises:
            CustomerStateForbids: only a suspended customer is reinstated.
        """
        if self.status is not Status.SUSPENDED:
            raise CustomerStateForbids("Only a suspended customer can be reinstated.")
        return replace(self, status=Status.APPROVED, version=self.version + 1)


class Profile(Protocol):
    """Who a customer is: what `size` counts."""

    @property
    def name(self) -> str:
        """What they are called."""

    @property
    def tax_id(self) -> str | None:
        """Their number at the tax office."""

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """People to talk to."""

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where they are."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Words that they are found by."""


def check_size(after: Profile, before: Profile | None = None) -> None:
    """Make sure that a customer is not too large.

    One that is stored larger, from before there was a bound, can be edited as long as it does not grow.

    Raises:
        CustomerTooLarge: it has more than `MOST_BYTES`, and more than before.
    """
    most = MOST_BYTES if before is None else max(MOST_BYTES, size(before))
    if size(after) <= most:
        return
    members = _members(after)
    largest = max(members, key=lambda name: _bytes(members[name]))
    message = (
        f"Shorten it, or leave out what is not needed: it has {_bytes(members[largest])} bytes."
        f" The customer has {size(after)} bytes as JSON, and may have {most}."
    )
    raise CustomerTooLarge(faults=(Fault(largest, CustomerTooLarge.code, message),))


def size(profile: Profile) -> int:
    """Return the bytes of name, tax id, contacts, addresses and tags as JSON in UTF-8 without spaces.

    That is what its event has of them. Terms and parent, short by themselves, do not count: who edits may
    not know them, and would find out by trying how long they are.
    """
    return _bytes(_members(profile))


def _members(profile: Profile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "tax_id": profile.tax_id,
        "contacts": [asdict(contact) for contact in profile.contacts],
        "addresses": [asdict(address) for address in profile.addresses],
        "tags": profile.tags,
    }


def _bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def with_one_primary(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    """Mark the first address primary where none is; who names two has made a mistake.

    Raises:
        ValueError: more than one is marked.
    """
    marked = sum(address.primary for address in addresses)
    if marked > 1:
        msg = "Mark one address as primary, not several."
        raise ValueError(msg)
    if addresses and not marked:
        return (replace(addresses[0], primary=True), *addresses[1:])
    return addresses


def random_code() -> str:
    """Return a customer code: short and random, because a counter would show others' volume (D5)."""
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(8))
