"""How a customer has been ordering: since when, how often, and for how long not any more (V5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from bailiwick_reports.domain.sales import Figures

Relation: TypeAlias = Literal["main", "additional"]

_ONE_PLACE = Decimal("0.1")


@dataclass(frozen=True)
class AskedPortfolio:
    """What a portfolio is narrowed to; the dates narrow its figures, not its customers."""

    order_date_from: date | None = None
    order_date_to: date | None = None
    silent_for: int | None = None
    """Days: customers without an order in as many days, ending today."""
    relation: Relation | None = None


@dataclass(frozen=True)
class Standing:
    """A customer of the portfolio: how the caller stands to it, when it ordered, and how much."""

    customer_id: UUID
    name: str
    country: str | None
    status: str
    relation: Relation | None
    first_order_date: date | None
    last_order_date: date | None
    order_dates: int
    """On how many different days it ordered."""
    figures: tuple[Figures, ...] = ()

    def silent_days(self, today: date) -> int | None:
        """Return the days since the last order, none if it never ordered."""
        if self.last_order_date is None:
            return None
        return max(0, (today - self.last_order_date).days)

    @property
    def interval_days(self) -> Decimal | None:
        """Return the mean of the days between its order dates, to a tenth; none with fewer than two."""
        if self.first_order_date is None or self.last_order_date is None or self.order_dates < 2:  # noqa: PLR2004
            return None
        days = Decimal((self.last_order_date - self.first_order_date).days)
        return (days / (self.order_dates - 1)).quantize(_ONE_PLACE, ROUND_HALF_UP)


def today_in(time_zone: str, now: datetime) -> date:
    """Return the date that it is in the organization's zone."""
    return now.astimezone(ZoneInfo(time_zone)).date()


def silent_since(today: date, days: int) -> date:
    """Return the date on or before which the last order of a silent customer was."""
    return today - timedelta(days=days)
