"""What the people of the story send: new customers and orders, as the API takes them."""

from __future__ import annotations

from collections.abc import Sequence
from random import SystemRandom
from typing import Any, NamedTuple

from bailiwick_alameda import company

_random = SystemRandom()


class Wanted(NamedTuple):
    """A line that somebody orders."""

    sku: str
    name: str
    quantity: str
    price: str


PHONED = (
    Wanted("CUA-A5-L", "Notebook A5 ruled", "24", "3.95"),
    Wanted("CIN-SAT", "Satin ribbon 20 m", "10", "1.85"),
)
BY_WEB = (Wanted("TAZ-LOZ", "Stoneware mug", "12", "4.85"),)


def new_customer(country: str) -> dict[str, Any]:
    """Draw a shop, another one each time."""
    drawn = company.shop(_random, country)
    address = {name: drawn[name] for name in ("postal_code", "city", "subdivision")}
    address |= {"line1": drawn["street"], "country": drawn["subdivision"].partition("-")[0]}
    contact = {"name": drawn["contact"], "email": drawn["email"], "phone": drawn["phone"]}
    return {"name": drawn["name"], "contacts": [contact], "addresses": [address]}


def new_order(customer_id: str, source: str, lines: Sequence[Wanted]) -> dict[str, Any]:
    """Give an order that is placed at once."""
    return {
        "customer_id": customer_id,
        "source": source,
        "place": True,
        "lines": [
            {
                "sku": line.sku,
                "name": line.name,
                "quantity": line.quantity,
                "unit_price": {"amount": line.price, "currency": "EUR"},
            }
            for line in lines
        ],
    }
