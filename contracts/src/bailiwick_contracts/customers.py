"""Events of customers: who is a customer, and whose portfolio they are in."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import override

from bailiwick_contracts.envelope import Amount, Interval, Payload, Pii, Sequenced

CustomerStatus = Literal["pending", "approved", "suspended"]
Relation = Literal["main", "additional"]
Origin = Literal["direct", "creator", "territory", "handover"]


class Contact(Payload):
    """A person to talk to at a customer."""

    name: Annotated[str, Pii]
    email: Annotated[str | None, Pii] = None
    phone: Annotated[str | None, Pii] = None
    title: str | None = None


class Address(Payload):
    """Where a customer is; exactly one of them is primary where there are any."""

    line1: Annotated[str | None, Pii] = None
    line2: Annotated[str | None, Pii] = None
    postal_code: str | None = None
    city: str | None = None
    subdivision: str | None = Field(default=None, description="ISO 3166-2, such as ES-MD.")
    country: str = Field(description="ISO 3166-1 alpha-2.")
    primary: bool = False


class Terms(Payload):
    """The commercial conditions of a customer (V4)."""

    price_list: str | None = None
    discount: Amount | None = Field(default=None, description="A fraction: 0.05 is five per cent.")
    payment_method: str | None = None
    shipping_method: str | None = None


class CustomerChanged(Sequenced):
    """A customer was made, or something about it changed."""

    type: ClassVar[str] = "customers.customer.changed.v1"

    customer_id: UUID
    code: str
    name: Annotated[str, Pii]
    tax_id: Annotated[str | None, Pii] = None
    status: CustomerStatus
    contacts: tuple[Contact, ...] = ()
    addresses: tuple[Address, ...] = ()
    tags: tuple[str, ...] = ()
    parent_id: UUID | None = None
    terms: Terms = Terms()
    created_by: UUID = Field(description="The member who made it.")
    created_at: datetime
    imported: bool = False

    @property
    @override
    def subject(self) -> UUID:
        return self.customer_id


class Assignment(Interval):
    """That a member is main or additional representative of a customer, and when."""

    assignment_id: UUID
    customer_id: UUID
    member_id: UUID
    relation: Relation
    origin: Origin
    version: int = Field(ge=1)


class AssignmentChanged(Sequenced):
    """One act on assignments, whole: what it made and what it ended (D18). Told when written, not at T."""

    type: ClassVar[str] = "customers.assignment.changed.v1"

    changeset_id: UUID
    chunk: int = Field(default=1, ge=1)
    chunks: int = Field(
        default=1, ge=1, description="The changeset counts once all chunks are there."
    )
    assignments: tuple[Assignment, ...]
    imported: bool = False

    @property
    @override
    def subject(self) -> UUID:
        return self.changeset_id
