"""What was sold, added up: by what, what is counted, and how figures stay apart (domain §3, D30)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Context, Decimal
from enum import StrEnum
from typing import Final, Literal, TypeAlias
from uuid import UUID

from bailiwick_reports.domain.errors import ReportTooLarge

MOST_ROWS: Final = 5_000
"""As many rows has an answer at most; an export has no such limit."""

COUNTING: Final = ("placed", "confirmed", "fulfilled")
"""The states of orders that count as sold; a cancelled one is a figure of its own (domain §3)."""

CANCELLED: Final = "cancelled"

House: TypeAlias = Literal["house"]
Others: TypeAlias = Literal["others"]
Former: TypeAlias = Literal["former"]
Nowhere: TypeAlias = Literal["none"]

HOUSE: Final[House] = "house"
"""Whom an order is credited to that nobody is credited for."""

OTHERS: Final[Others] = "others"
"""All members but the caller, where the caller may not tell them apart."""

FORMER: Final[Former] = "former"
"""All customers that the caller has lost, whose orders they go on viewing."""

NOWHERE: Final[Nowhere] = "none"
"""The country of customers without an address."""

_EXACT = Context(prec=80)
# Beyond the usual 28 digits a sum would be rounded unnoticed.


class Dimension(StrEnum):
    """What a report can be grouped by."""

    DAY = "day"
    MONTH = "month"
    AUTHOR = "author"
    CREDITED_TO = "credited_to"
    CUSTOMER = "customer"
    COUNTRY = "country"
    SOURCE = "source"


@dataclass(frozen=True)
class Asked:
    """What a report is grouped by and narrowed to; all of it holds at once."""

    by: tuple[Dimension, ...] = ()
    states: tuple[str, ...] = COUNTING
    order_date_from: date | None = None
    order_date_to: date | None = None
    source: str | None = None
    customer: UUID | Former | None = None
    country: str | None = None
    author: UUID | Others | None = None
    credited_to: UUID | House | Others | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Value:
    """What one row of a report is about, in one dimension. People and customers have names as labels."""

    dimension: Dimension
    value: str
    label: str | None


@dataclass(frozen=True)
class Figures:
    """What was ordered in one currency, and apart from it what was cancelled after being placed."""

    currency: str
    orders: int
    pieces: Decimal
    net: Decimal
    cancelled_orders: int
    cancelled_net: Decimal

    def __add__(self, other: Figures) -> Figures:
        """Add in one currency; nothing is ever converted."""
        if other.currency != self.currency:
            msg = f"cannot add {other.currency} to {self.currency}"
            raise ValueError(msg)
        return Figures(
            self.currency,
            self.orders + other.orders,
            _EXACT.add(self.pieces, other.pieces),
            _EXACT.add(self.net, other.net),
            self.cancelled_orders + other.cancelled_orders,
            _EXACT.add(self.cancelled_net, other.cancelled_net),
        )


@dataclass(frozen=True)
class Group:
    """One row of a report."""

    figures: Figures
    by: tuple[Value, ...] = field(default=())


def totals(figures: Iterable[Figures]) -> tuple[Figures, ...]:
    """Return the sums by currency, in the currencies' order."""
    sums: dict[str, Figures] = {}
    for one in figures:
        known = sums.get(one.currency)
        sums[one.currency] = one if known is None else known + one
    return tuple(sums[currency] for currency in sorted(sums))


def refuse_too_many(rows: int) -> None:
    """Refuse more rows than an answer may have.

    Raises:
        ReportTooLarge: there are more.
    """
    if rows > MOST_ROWS:
        raise ReportTooLarge(
            f"It has more than {MOST_ROWS:,} rows: narrow it, or export it.",
            facts={"most_rows": MOST_ROWS},
        )
