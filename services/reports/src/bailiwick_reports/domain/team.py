"""How customers and sales are spread over a team (V10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from statistics import median
from typing import Final
from uuid import UUID

from bailiwick_reports.domain.sales import Figures

SILENT_DAYS: Final = 90
"""After as many days without an order a customer counts as silent."""

_FOUR_PLACES = Decimal("0.0001")
_TWO_PLACES = Decimal("0.01")


@dataclass(frozen=True)
class Performance:
    """A member: the customers they hold now, and what they were credited in the period."""

    member_id: UUID
    name: str | None
    status: str
    counts: bool
    """Whether their assignments count: the membership is in force, and policy lets them hold a portfolio."""
    customers_main: int
    customers_additional: int
    silent_90_days: int
    """Of the customers they are main for."""
    credited: tuple[Figures, ...] = ()

    @property
    def holds_customers(self) -> bool:
        """Tell whether they have a portfolio now."""
        return self.customers_main + self.customers_additional > 0


@dataclass(frozen=True)
class Coverage:
    """How many customers are approved, and how many of these no active main represents."""

    approved: int
    without_representative: int


@dataclass(frozen=True)
class Distribution:
    """How many customers the active members who hold any are main for."""

    members: int
    mean: Decimal
    median: Decimal
    least: int
    most: int
    over_twice_the_mean: tuple[UUID, ...]
    under_half_the_mean: tuple[UUID, ...]


@dataclass(frozen=True)
class Team:
    """The team in a period."""

    members: tuple[Performance, ...]
    house: tuple[Figures, ...]
    coverage: Coverage

    @property
    def with_main(self) -> int:
        """Return the number of customers with a main; there is at most one at an instant (V1)."""
        return sum(one.customers_main for one in self.members)

    def share(self, member: Performance) -> Decimal:
        """Return the member's part of the customers with a main, to four places."""
        if not self.with_main:
            return Decimal(0)
        return _rounded(Decimal(member.customers_main) / self.with_main, _FOUR_PLACES)

    @property
    def distribution(self) -> Distribution:
        """Return how the customers are spread."""
        return distribution(
            [(one.member_id, one.customers_main) for one in self.members if _counts(one)]
        )


def distribution(portfolios: Sequence[tuple[UUID, int]]) -> Distribution:
    """Return how numbers of customers are spread over members; mean and median to two places."""
    if not portfolios:
        return Distribution(0, Decimal(0), Decimal(0), 0, 0, (), ())
    counts = [count for _, count in portfolios]
    members, customers = len(counts), sum(counts)
    return Distribution(
        members=members,
        mean=_rounded(Decimal(customers) / members, _TWO_PLACES),
        median=_rounded(Decimal(median(counts)), _TWO_PLACES),
        least=min(counts),
        most=max(counts),
        # In whole numbers: a rounded mean would put somebody on the wrong side.
        over_twice_the_mean=tuple(who for who, n in portfolios if n * members > 2 * customers),
        under_half_the_mean=tuple(who for who, n in portfolios if 2 * n * members < customers),
    )


def _counts(member: Performance) -> bool:
    return member.counts and member.holds_customers


def _rounded(number: Decimal, places: Decimal) -> Decimal:
    return number.quantize(places, ROUND_HALF_UP)
