"""What goes over the wire about customers, and how it becomes the domain's and comes from it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, model_validator

from bailiwick_access.authorizer import hides
from bailiwick_customers.actions.create_customer import NewCustomer
from bailiwick_customers.domain import customer as domain
from bailiwick_customers.domain.assignment import Assignment, Relation
from bailiwick_customers.domain.views import Filters, LookedUp, Shown
from bailiwick_customers.rules.assigning import NewAssignment
from bailiwick_customers.rules.parents import may_know_parent
from bailiwick_kit.errors import Fault, Invalid
from bailiwick_kit.policy.client import Masks
from bailiwick_kit.text.iso import Country, Subdivision
from bailiwick_kit.text.strings import Text, TextRule
from bailiwick_kit.web.fields import Edit, Exact, Instant, Model
from bailiwick_kit.web.pages import PageQuery

Status = Literal["pending", "approved", "suspended"]


def _email(value: str) -> str:
    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None


Email = Annotated[str, TextRule(max_length=254), AfterValidator(_email)]
Short = Annotated[str, TextRule(max_length=60)]


class ContactBody(Model):
    """A person to talk to at a customer."""

    name: Text
    email: Email | None = None
    phone: Short | None = None
    title: Short | None = None


class AddressBody(Model):
    """A place. Where none of several is primary, the first one is."""

    country: Country
    line1: Text | None = None
    line2: Text | None = None
    postal_code: Short | None = None
    city: Text | None = None
    subdivision: Subdivision | None = None
    primary: bool = False

    @model_validator(mode="after")
    def _in_one_country(self) -> Self:
        if self.subdivision and not self.subdivision.startswith(f"{self.country}-"):
            msg = "Send a subdivision of the address's own country"
            raise ValueError(msg)
        return self


class TermsBody(Model):
    """Commercial conditions. The discount is a fraction: "0.05" is five per cent."""

    price_list: Short | None = None
    discount: Annotated[Exact, Field(ge=Decimal(0), le=Decimal(1))] | None = None
    payment_method: Short | None = None
    shipping_method: Short | None = None


def _one_primary(addresses: tuple[AddressBody, ...]) -> tuple[AddressBody, ...]:
    domain.with_one_primary(tuple(to_address(address) for address in addresses))
    return addresses


def _each_once(tags: tuple[str, ...]) -> tuple[str, ...]:
    # Who sends a tag twice, in whatever case, wants it once: the first way of writing it is kept.
    kept: dict[str, str] = {}
    for tag in tags:
        kept.setdefault(unicodedata.normalize("NFC", tag.casefold()), tag)
    return tuple(kept.values())


Contacts = Annotated[tuple[ContactBody, ...], Field(max_length=50, fail_fast=True)]
Addresses = Annotated[
    tuple[AddressBody, ...], Field(max_length=50, fail_fast=True), AfterValidator(_one_primary)
]
Tags = Annotated[
    tuple[Short, ...], Field(max_length=50, fail_fast=True), AfterValidator(_each_once)
]


class NewCustomerBody(Model):
    """A customer to create. `main_id` names its representative; only who assigns may name another."""

    name: Text
    tax_id: Short | None = None
    contacts: Contacts = ()
    addresses: Addresses = ()
    tags: Tags = ()
    parent_id: UUID | None = None
    terms: TermsBody | None = None
    main_id: UUID | None = None

    def command(self) -> NewCustomer:
        """Return what the action takes."""
        return NewCustomer(
            name=self.name,
            tax_id=self.tax_id,
            contacts=to_contacts(self.contacts),
            addresses=to_addresses(self.addresses),
            tags=self.tags,
            parent_id=self.parent_id,
            terms=domain.Terms(**dict(self.terms)) if self.terms else None,
            main_id=self.main_id,
        )


class CustomerEdit(Edit):
    """Fields to change; what is not sent stays as it is."""

    name: Text = ""
    tax_id: Short | None = None
    contacts: Contacts = ()
    addresses: Addresses = ()
    tags: Tags = ()
    parent_id: UUID | None = None

    def changes(self) -> dict[str, Any]:
        """Return the fields that were sent, as the domain has them."""
        sent = {name: getattr(self, name) for name in self.model_fields_set}
        if "contacts" in sent:
            sent["contacts"] = to_contacts(self.contacts)
        if "addresses" in sent:
            sent["addresses"] = to_addresses(self.addresses)
        return sent


class TermsEdit(TermsBody, Edit):
    """Terms to change; what is not sent stays as it is, and null clears it."""

    def changes(self) -> dict[str, Any]:
        """Return the terms that were sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Approval(Model):
    """What approving may do besides: name the customer's main representative (V12)."""

    main_id: UUID | None = None


class Gap(Model):
    """A time in which the customer would have no main; null stands for the act's own beginning, now."""

    valid_from: Instant | None
    valid_to: Instant


class Acknowledgement(Model):
    """What the act would cause, word for word as a refusal listed it."""

    without_main: Annotated[tuple[Gap, ...], Field(max_length=100, fail_fast=True)] = ()


class NewAssignmentBody(Model):
    """Who represents the customer. Left out, `valid_from` is now and `valid_to` is open.

    An act that is refused with `leaves-no-main` is done if `acknowledge` holds `without_main` as the
    refusal had it.
    """

    member_id: UUID
    relation: Relation
    valid_from: Instant | None = None
    valid_to: Instant | None = None
    acknowledge: Acknowledgement = Acknowledgement()

    def command(self) -> NewAssignment:
        """Return what the action takes."""
        gaps = tuple((gap.valid_from, gap.valid_to) for gap in self.acknowledge.without_main)
        return NewAssignment(
            self.member_id, self.relation, self.valid_from, self.valid_to, acknowledged=gaps
        )


class AssignmentEnd(Model):
    """When an assignment ends. Left out: as soon as it can be for everybody at once, in a second."""

    valid_to: Instant | None = None


class CustomerFilters(Model):
    """What customers are narrowed by, to list or to count them."""

    rep: UUID | None = Field(default=None, description="Only customers whose main is this member")
    any_rep: UUID | None = Field(
        default=None, description="Only customers whom this member represents, main or additional"
    )
    unassigned: bool | None = Field(
        default=None,
        description="true: only customers without a main representative who is active and may have "
        "customers; false: only those with one. Suspended customers are under neither",
    )
    country: Country | None = None
    status: Status | None = None
    text: Text | None = Field(
        default=None,
        description="How words begin that the customer is known by, in any order: of name, code, tax id, what"
        " it was called where it was imported from,"
        " cities, postal codes, tags, and the contacts' names, e-mail addresses and telephone numbers."
        " Case, accents, punctuation and spaces do not matter",
    )

    def filters(self) -> Filters:
        """Return what the query takes."""
        return Filters(
            rep=self.rep,
            any_rep=self.any_rep,
            unassigned=self.unassigned,
            country=self.country,
            status=self.status,
            text=self.text,
        )


class CustomerListQuery(CustomerFilters, PageQuery):
    """Which customers are listed, page by page."""


class LookupQuery(PageQuery):
    """Which customer is meant: words of its name and city, or exactly its id or code."""

    limit: int = Field(default=20, ge=1, le=200, description="How many to return at most")
    text: Text | None = Field(
        default=None,
        description="How words of the name and the city begin, in any order. Case, accents, punctuation"
        " and spaces do not matter",
    )
    code: Short | None = None
    customer_id: UUID | None = None

    def exactly(self) -> Self:
        """Return it for who may name a customer by id or code, but not search among them.

        Raises:
            Invalid: neither is named, or a text is.
        """
        if self.text is not None or (self.code is None and self.customer_id is None):
            message = "Name the customer by code or customer_id"
            raise Invalid(faults=(Fault("code", "missing", message),))
        return self


class CustomerBody(Model):
    """A customer as the caller may see it. `terms` is absent where the caller may not know them."""

    customer_id: UUID
    code: str
    name: str
    tax_id: str | None
    status: Status
    contacts: tuple[ContactBody, ...]
    addresses: tuple[AddressBody, ...]
    tags: tuple[str, ...]
    parent_id: UUID | None
    terms: TermsBody | None = None
    main_id: UUID | None
    additional_ids: tuple[UUID, ...]
    created_by: UUID
    created_at: datetime
    external_ref: str | None = Field(
        description="What it was called in the system it was imported from"
    )
    version: int


class LookupItem(Model):
    """A customer to order for, and no more of it than that takes."""

    customer_id: UUID
    name: str
    city: str | None
    country: str | None


class AssignmentBody(Model):
    """Who represented a customer, and when."""

    assignment_id: UUID
    customer_id: UUID
    member_id: UUID
    relation: Relation
    origin: Literal["direct", "creator", "territory", "handover"]
    valid_from: datetime
    valid_to: datetime
    version: int


class History(Model):
    """All assignments of a customer, latest first: past, present and planned."""

    items: tuple[AssignmentBody, ...]


class Representative(Model):
    """A member who may have customers, from `valid_from` until before `valid_until`."""

    member_id: UUID
    name: str | None
    valid_from: datetime
    valid_until: datetime


class Representatives(Model):
    """The members who may have customers, by name."""

    items: tuple[Representative, ...]


def to_address(body: AddressBody) -> domain.Address:
    """Return the domain's address."""
    return domain.Address(**dict(body))


def to_addresses(bodies: Sequence[AddressBody]) -> tuple[domain.Address, ...]:
    """Return the domain's addresses, exactly one of them primary."""
    return domain.with_one_primary(tuple(to_address(body) for body in bodies))


def to_contacts(bodies: Sequence[ContactBody]) -> tuple[domain.Contact, ...]:
    """Return the domain's contacts."""
    return tuple(domain.Contact(**dict(body)) for body in bodies)


def customer_body(shown: Shown, masks: Masks) -> CustomerBody:
    """Return the customer as it goes over the wire, less what policy masks."""
    customer = shown.customer
    shows_terms = not hides(masks, "customer", "terms")
    shows_parent = may_know_parent(masks, shown.parent_relations)
    return CustomerBody(
        customer_id=customer.customer_id,
        code=customer.code,
        name=customer.name,
        tax_id=customer.tax_id,
        status=customer.status.value,
        contacts=tuple(ContactBody.model_construct(**asdict(c)) for c in customer.contacts),
        addresses=tuple(AddressBody.model_construct(**asdict(a)) for a in customer.addresses),
        tags=customer.tags,
        parent_id=customer.parent_id if shows_parent else None,
        terms=TermsBody.model_construct(**asdict(customer.terms)) if shows_terms else None,
        main_id=shown.main_id,
        additional_ids=shown.additional_ids,
        created_by=customer.created_by,
        created_at=customer.created_at,
        external_ref=customer.external_ref,
        version=customer.version,
    )


def lookup_item(found: LookedUp) -> LookupItem:
    """Return what a look-up tells of a customer."""
    return LookupItem(
        customer_id=found.customer_id, name=found.name, city=found.city, country=found.country
    )


def assignment_body(assignment: Assignment) -> AssignmentBody:
    """Return the assignment as it goes over the wire."""
    return AssignmentBody(
        assignment_id=assignment.assignment_id,
        customer_id=assignment.customer_id,
        member_id=assignment.member_id,
        relation=assignment.relation,
        origin=assignment.origin.value,
        valid_from=assignment.valid_from,
        valid_to=assignment.valid_to,
        version=assignment.version,
    )
