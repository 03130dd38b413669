"""Amounts of money: decimals, never floats, one currency each. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal

FOUR_PLACES = Decimal("0.0001")
# Two numbers of 18 digits and a fraction of five have a product of 41; beyond the usual 28 it would raise.
_EXACT = Context(prec=64, rounding=ROUND_HALF_UP)


def line_net(quantity: Decimal, unit_price: Decimal, discount: Decimal) -> Decimal:
    """Return a line's net: quantity × unit price × (1 − discount), four decimals, half up."""
    gross = _EXACT.multiply(quantity, unit_price)
    return _EXACT.multiply(gross, _EXACT.subtract(Decimal(1), discount)).quantize(
        FOUR_PLACES, context=_EXACT
    )


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
