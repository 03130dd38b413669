"""Events of customers: who is a customer, and whose portfolio they are in."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import override

from bailiwick_contracts.envelope import Amount, Interval, Payload, Pii, Sequenced
from bailiwick_contracts.instants import Instant

CustomerStatus = Literal["pending", "approved", "suspended"]
Relation = Literal["main", "additional"]
Origin = Literal["direct", "creator", "territory", "handover"]


class Contact(Payload):
    """A person to talk to at a customer."""

    name: Annotated[str, Pii]
    email: Annotated[str | None, Pii] = None
    phone: Annotated[str | None, Pii] = None
    title: str | None = Field(default=None, description="What they do there.")


class Address(Payload):
    """Where a customer is; exactly one of them is primary where there are any."""

    line1: Annotated[str | None, Pii] = None
    line2: Annotated[str | None, Pii] = None
    postal_code: str | None = None
    city: str | None = None
    subdivision: str | None = Field(default=None, description="ISO 3166-2, such as ES-MD.")
    country: str = Field(description="ISO 3166-1 alpha-2.")
    primary: bool = Field(default=False, description="The one that gives the customer's country.")


class Terms(Payload):
    """The commercial conditions of a customer."""  # V4

    price_list: str | None = Field(default=None, description="The list's code.")
    discount: Amount | None = Field(default=None, description="A fraction: 0.05 is five per cent.")
    payment_method: str | None = None
    shipping_method: str | None = None


class CustomerChanged(Sequenced):
    """A customer was made, or something about it changed."""

    type: ClassVar[str] = "customers.customer.changed.v1"

    customer_id: UUID
    code: str = Field(description="A short code, unique in the organization.")
    name: Annotated[str, Pii]
    tax_id: Annotated[str | None, Pii] = None
    status: CustomerStatus = Field(description="Orders can be placed for an approved one.")
    contacts: tuple[Contact, ...] = ()
    addresses: tuple[Address, ...] = ()
    tags: tuple[str, ...] = ()
    parent_id: UUID | None = Field(default=None, description="The customer that it belongs to.")
    terms: Terms = Field(default=Terms(), description="The commercial conditions.")
    created_by: UUID = Field(description="The member who made it.")
    created_at: Instant
    imported: bool = Field(
        default=False, description="It was imported from another system, with its history."
    )

    @property
    @override
    def subject(self) -> UUID:
        return self.customer_id


class Assignment(Interval):
    """Makes a member main or additional representative of a customer, for a time."""

    assignment_id: UUID
    customer_id: UUID = Field(description="Who is represented.")
    member_id: UUID = Field(description="Who represents.")
    relation: Relation = Field(description="At any instant a customer has one main at most.")
    origin: Origin = Field(description="How it came about.")
    version: int = Field(ge=1, description="The assignment's own version.")


class AssignmentChanged(Sequenced):
    """All assignments that one act began or ended. Published when written, even if valid later."""  # D18

    type: ClassVar[str] = "customers.assignment.changed.v1"

    changeset_id: UUID = Field(description="The act.")
    chunk: int = Field(default=1, ge=1, description="Which part of the act this is, of `chunks`.")
    chunks: int = Field(
        default=1, ge=1, description="The changeset counts once all chunks are there."
    )
    assignments: tuple[Assignment, ...] = Field(description="Each as it is after the act.")
    imported: bool = Field(default=False, description="It came from another system.")

    @property
    @override
    def subject(self) -> UUID:
        return self.changeset_id
