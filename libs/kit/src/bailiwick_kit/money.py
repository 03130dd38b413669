"""Amounts of money: decimals, never floats, one currency each. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

FOUR_PLACES = Decimal("0.0001")


def line_net(quantity: Decimal, unit_price: Decimal, discount: Decimal) -> Decimal:
    """Return a line's net: quantity × unit price × (1 − discount), four decimals, half up."""
    return (quantity * unit_price * (1 - discount)).quantize(FOUR_PLACES, ROUND_HALF_UP)


@dataclass(frozen=True, order=False)
class Money:
    """An amount in a currency (ISO 4217), up to four decimals."""

    amount: Decimal
    currency: str

    def __add__(self, other: Money) -> Money:
        """Add in one currency; nothing is ever converted."""
        if other.currency != self.currency:
            msg = f"cannot add {other.currency} to {self.currency}"
            raise ValueError(msg)
        return Money(self.amount + other.amount, self.currency)
