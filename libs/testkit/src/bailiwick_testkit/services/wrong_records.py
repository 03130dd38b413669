"""Records that an import refuses: the check of files and each service's own import are given the same ones.

Each is what is changed in a right record, and what is said of it: its place, and how the message begins.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import uuid4

from bailiwick_testkit.services.orders import a_line

Case: TypeAlias = tuple[dict[str, Any], str]

_SOON = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
_SOMEBODY = str(uuid4())


def _fine_line(quantity: str, price: str, discount: str = "0") -> dict[str, Any]:
    return {**a_line(quantity, price), "discount": discount}


ORDERS: Final[list[Case]] = [
    ({"order_date": None}, "order_date: Say when"),
    ({"order_date": _SOON}, "placed_at: Choose an instant that has passed"),
    (
        {"order_date": "9999-12-31", "placed_at": "2024-01-01T00:00:00Z"},
        "order_date: Choose a day that has come",
    ),
    (
        {"order_date": "2024-03-03", "placed_at": "2024-03-01T12:00:00Z"},
        "order_date: Choose the day on which it was placed",
    ),
    ({"listed_at": f"{_SOON}T00:00:00Z"}, "listed_at: Choose an instant that has passed"),
    ({"order_date": "0001-01-01"}, "order_date: Send a date from 1900-01-01"),
    ({"placed_at": "0001-01-01T00:00:00Z"}, "placed_at: Send an instant from 1900"),
    ({"listed_at": "1899-12-31T23:59:59Z"}, "listed_at: Send an instant from 1900"),
    ({"order_date": "31/03/2024"}, "order_date: Write a date"),
    ({"state": "draft"}, "order_date: A draft has no date"),
    (
        {"state": "draft", "order_date": None, "credited_to": _SOMEBODY},
        "credited_to: It was never placed",
    ),
    (
        {"state": "cancelled", "order_date": None, "credited_to": _SOMEBODY},
        "credited_to: It was never placed",
    ),
    (
        {"state": "cancelled", "order_date": None, "placed_by": _SOMEBODY},
        "placed_by: It was never placed",
    ),
    ({"currency": "USD"}, "lines[0].unit_price.currency: This order is in USD"),
    ({"currency": "EURO"}, "currency: Send a currency as ISO 4217"),
    ({"lines": [a_line("99999999999999", "2")]}, "lines[0]: Split the order"),
    ({"lines": []}, "lines: "),
    ({"lines": [a_line()] * 2001}, "lines: "),
    ({"lines": [a_line("1.00001", "2")]}, "lines[0].quantity: "),
    (
        {"lines": [_fine_line("10000", "0.00125")]},
        "lines[0].unit_price: With four decimals the line comes to another amount",
    ),
    (
        {"lines": [_fine_line("1000", "9", "0.333333")]},
        "lines[0].unit_price: With four decimals the line comes to another amount",
    ),
    ({"lines": [_fine_line("1", "0.0000000000001")]}, "lines[0].unit_price.amount: "),
    ({"number": "BCDFGHJK"}, "number: Remove this field"),
]
