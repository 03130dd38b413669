"""A new order, as a mail tells of it: as it stands when the mail is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True)
class Line:
    """What is ordered. `discount` is a fraction; `net` has four decimals, never rounded further."""

    sku: str
    name: str
    quantity: Decimal
    unit_price: Decimal
    discount: Decimal
    net: Decimal


@dataclass(frozen=True)
class NewOrder:
    """An order that came in.

    `customer_name` is the one that the order keeps, unless its reader may know the present one.
    `placed_by_name` is absent where the buyer placed it through a storefront, or nobody knows the name.
    """

    order_id: UUID
    number: str
    customer_name: str
    placed_at: datetime
    source: str
    placed_by_name: str | None
    lines: tuple[Line, ...]
    net: Decimal
    currency: str
    note: str | None = None
    is_cancelled: bool = False
