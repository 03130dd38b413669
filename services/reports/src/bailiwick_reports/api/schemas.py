"""What goes over the wire from reports: sums as strings, currencies apart."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field, PlainSerializer, WithJsonSchema

from bailiwick_kit.web.fields import Model
from bailiwick_reports.api.query_params import SalesDimension
from bailiwick_reports.domain.portfolio import Relation

_CENTS = 2


def plain(number: Decimal, *, decimals: int = 0) -> str:
    """Write a number without an exponent and with no more zeros at its end than decimals are asked for."""
    whole, _, fraction = format(number, "f").partition(".")
    fraction = fraction.rstrip("0").ljust(decimals, "0")
    return f"{whole}.{fraction}" if fraction else whole


_NUMBER = WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d{1,4})?$"})
Number = Annotated[Decimal, PlainSerializer(plain, return_type=str, when_used="json"), _NUMBER]
"""An exact sum, quotient or part, with up to four decimals: a string in JSON (D30)."""

Amount = Annotated[
    Decimal,
    PlainSerializer(lambda value: plain(value, decimals=_CENTS), return_type=str, when_used="json"),
    _NUMBER,
]
"""An exact sum of money: two to four decimals, a string in JSON (D30)."""


class Sum(Model):
    """A sum of money in one currency: {"amount": "12.30", "currency": "EUR"}."""

    amount: Amount
    currency: str


class Cancelled(Model):
    """What was placed and then cancelled: in no other figure."""

    orders: int
    net: Sum


class FiguresBody(Model):
    """What was ordered in one currency; currencies are never added."""

    currency: str
    orders: int
    pieces: Number
    net: Sum
    cancelled: Cancelled


class TotalBody(FiguresBody):
    """What all rows of one currency come to."""

    orders_link: str | None = Field(
        description="Lists exactly the orders counted, as far as you may view them;"
        " null where you may view none"
    )


class ValueBody(Model):
    """What a row is about in one dimension."""

    dimension: SalesDimension
    value: str = Field(
        description="An id, a date, a month, a country, a source; `house`, `others`, `former`, `none`"
    )
    label: str | None = Field(description="For people: a name where the value is an id")


class GroupBody(TotalBody):
    """One row of a report."""

    by: tuple[ValueBody, ...]


class GroupedReport(Model):
    """Figures by what was asked for, and in all."""

    rows: tuple[GroupBody, ...]
    totals: tuple[TotalBody, ...] = Field(description="One for each currency")


class CustomerBody(Model):
    """A customer of the portfolio."""

    customer_id: UUID
    name: str
    country: str | None
    status: str


class StandingBody(Model):
    """How a customer has been ordering."""

    customer: CustomerBody
    relation: Relation | None = Field(description="How you stand to the customer now")
    first_order_date: date | None
    last_order_date: date | None
    silent_days: int | None = Field(description="Since the last order; null: never ordered")
    interval_days: Number | None = Field(description="On average between two days with orders")
    figures: tuple[FiguresBody, ...]
    orders_link: str | None


class PortfolioReport(Model):
    """Customers, the longest silent first; those that never ordered before all."""

    rows: tuple[StandingBody, ...]


class MemberBody(Model):
    """A member of the team."""

    member_id: UUID
    name: str | None
    status: str


class PerformanceBody(Model):
    """The customers that a member holds now, and what they were credited in the period."""

    member: MemberBody
    customers_main: int
    customers_additional: int
    silent_90_days: int = Field(description="Customers as main without an order in 90 days")
    share: Number = Field(description="Of all customers with a main representative")
    credited: tuple[FiguresBody, ...]
    orders_link: str | None


class CoverageBody(Model):
    """Approved customers, and those of them that no active main represents."""

    approved: int
    without_representative: int


class DistributionBody(Model):
    """How customers are spread over the active members who hold any."""

    members: int
    mean: Number
    median: Number
    least: int
    most: int
    over_twice_the_mean: tuple[UUID, ...]
    under_half_the_mean: tuple[UUID, ...]


class TeamReport(Model):
    """The team, what was credited to nobody, and how customers are covered and spread."""

    members: tuple[PerformanceBody, ...]
    house: tuple[FiguresBody, ...]
    coverage: CoverageBody
    distribution: DistributionBody
