"""Between rows and the domain: the one place that knows how a customer and an assignment are stored."""

from __future__ import annotations

import unicodedata
from dataclasses import asdict
from typing import Any

from sqlalchemy.engine import RowMapping

from bailiwick_contracts import customers as wire
from bailiwick_customers.domain.assignment import Assignment, Origin, Relation
from bailiwick_customers.domain.customer import Address, Contact, Customer, Status, Terms
from bailiwick_customers.store.searching import searched


def folded(text: str) -> str:
    """Return the text as the version before compares it, which may run beside this one."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def customer_row(customer: Customer) -> dict[str, Any]:
    """Return a customer's columns, all but `seq`."""
    place = customer.primary_address
    city = place.city if place else None
    row = {
        "org_id": customer.org_id,
        "customer_id": customer.customer_id,
        "code": customer.code,
        "name": customer.name,
        "search": folded(" ".join(filter(None, (customer.name, customer.code, city)))),
        "tax_id": customer.tax_id,
        "status": customer.status.value,
        "contacts": [asdict(contact) for contact in customer.contacts],
        "addresses": [asdict(address) for address in customer.addresses],
        "country": place.country if place else None,
        "subdivision": place.subdivision if place else None,
        "postal_code": place.postal_code if place else None,
        "city": city,
        "tags": list(customer.tags),
        "parent_id": customer.parent_id,
        **asdict(customer.terms),
        "created_by": customer.created_by,
        "listed_at": customer.created_at,
        "imported": customer.imported,
        "import_source": customer.import_source,
        "external_ref": customer.external_ref,
        "version": customer.version,
    }
    return row | searched(row)


def to_customer(row: RowMapping) -> Customer:
    """Return the customer in a row."""
    return Customer(
        org_id=row["org_id"],
        customer_id=row["customer_id"],
        code=row["code"],
        name=row["name"],
        tax_id=row["tax_id"],
        status=Status(row["status"]),
        contacts=tuple(Contact(**contact) for contact in row["contacts"]),
        addresses=tuple(Address(**address) for address in row["addresses"]),
        tags=tuple(row["tags"]),
        parent_id=row["parent_id"],
        terms=Terms(
            price_list=row["price_list"],
            discount=row["discount"],
            payment_method=row["payment_method"],
            shipping_method=row["shipping_method"],
        ),
        created_by=row["created_by"],
        created_at=row["listed_at"],
        imported=row["imported"],
        import_source=row["import_source"],
        external_ref=row["external_ref"],
        version=row["version"],
    )


def customer_event(customer: Customer, seq: int) -> wire.CustomerChanged:
    """Return what the bus is told of a customer."""
    return wire.CustomerChanged(
        org_id=customer.org_id,
        version=customer.version,
        seq=seq,
        customer_id=customer.customer_id,
        code=customer.code,
        name=customer.name,
        tax_id=customer.tax_id,
        status=customer.status.value,
        contacts=tuple(wire.Contact(**asdict(contact)) for contact in customer.contacts),
        addresses=tuple(wire.Address(**asdict(address)) for address in customer.addresses),
        tags=customer.tags,
        parent_id=customer.parent_id,
        terms=wire.Terms(**asdict(customer.terms)),
        created_by=customer.created_by,
        created_at=customer.created_at,
        imported=customer.imported,
    )


def assignment_row(assignment: Assignment) -> dict[str, Any]:
    """Return an assignment's columns, all but `seq`."""
    return asdict(assignment)


def to_assignment(row: RowMapping) -> Assignment:
    """Return the assignment in a row."""
    names = Assignment.__dataclass_fields__
    values = {name: row[name] for name in names}
    values["relation"] = Relation(row["relation"])
    values["origin"] = Origin(row["origin"])
    return Assignment(**values)


def assignment_part(assignment: Assignment) -> wire.Assignment:
    """Return what the bus is told of one assignment of a changeset."""
    return wire.Assignment(
        assignment_id=assignment.assignment_id,
        customer_id=assignment.customer_id,
        member_id=assignment.member_id,
        relation=assignment.relation.value,
        origin=assignment.origin.value,
        valid_from=assignment.valid_from,
        valid_to=assignment.valid_to,
        version=assignment.version,
    )
