"""What a mapping may fill: the fields of members, customers, assignments, orders and their lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bailiwick_csv_import.fields import Kind


@dataclass(frozen=True)
class Schema:
    """The fields of a record; `many` says that a list of such groups stands here."""

    fields: Mapping[str, Kind | Schema] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    many: bool = False


_CONTACT = Schema(
    {"name": Kind.TEXT, "email": Kind.TEXT, "phone": Kind.TEXT, "title": Kind.TEXT},
    frozenset({"name"}),
    many=True,
)
_ADDRESS = Schema(
    {
        "line1": Kind.TEXT,
        "line2": Kind.TEXT,
        "postal_code": Kind.TEXT,
        "city": Kind.TEXT,
        "subdivision": Kind.TEXT,
        "country": Kind.TEXT,
    },
    frozenset({"country"}),
    many=True,
)
_TERMS = Schema(
    {
        "price_list": Kind.TEXT,
        "discount": Kind.DECIMAL,
        "payment_method": Kind.TEXT,
        "shipping_method": Kind.TEXT,
    }
)
_TICKS = Schema(
    {
        "products": Kind.TEXT,
        "inventory": Kind.TEXT,
        "looks": Kind.TEXT,
        "prices": Kind.TEXT,
        "collections": Kind.TEXT,
        "customers": Kind.TEXT,
    }
)

MEMBER = Schema(
    {
        "name": Kind.TEXT,
        "email": Kind.TEXT,
        "password": Kind.TEXT,
        "mode": Kind.TEXT,
        "role": Kind.TEXT,
        "permissions": Kind.LIST,
        "ticks": _TICKS,
        "language": Kind.TEXT,
        "valid_from": Kind.INSTANT,
        "valid_until": Kind.INSTANT,
    },
    frozenset({"name", "email"}),
)
CUSTOMER = Schema(
    {
        "name": Kind.TEXT,
        "tax_id": Kind.TEXT,
        "contacts": _CONTACT,
        "addresses": _ADDRESS,
        "tags": Kind.LIST,
        "terms": _TERMS,
        "status": Kind.TEXT,
        "created_at": Kind.INSTANT,
    },
    frozenset({"name"}),
)
ASSIGNMENT = Schema(
    {
        "customer": Kind.TEXT,
        "member": Kind.TEXT,
        "relation": Kind.TEXT,
        "valid_from": Kind.INSTANT,
        "valid_to": Kind.INSTANT,
    },
    frozenset({"customer", "member", "relation"}),
)
ORDER = Schema(
    {
        "customer": Kind.TEXT,
        "author": Kind.TEXT,
        "placed_by": Kind.TEXT,
        "credited_to": Kind.TEXT,
        "state": Kind.TEXT,
        "order_date": Kind.DATE,
        "placed_at": Kind.INSTANT,
        "listed_at": Kind.INSTANT,
        "currency": Kind.TEXT,
        "note": Kind.TEXT,
    },
    frozenset({"customer"}),
)
LINE = Schema(
    {
        "sku": Kind.TEXT,
        "name": Kind.TEXT,
        "quantity": Kind.DECIMAL,
        "unit_price": Kind.DECIMAL,
        "discount": Kind.DECIMAL,
    },
    frozenset({"sku", "name", "quantity", "unit_price"}),
)
