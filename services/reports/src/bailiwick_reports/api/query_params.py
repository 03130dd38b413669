"""What goes over the wire to reports: what is asked, judged only when it is its turn."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from bailiwick_kit.text.iso import CountryOrNone, CurrencyEver
from bailiwick_kit.web.fields import Day, Model, id_or
from bailiwick_reports.domain.portfolio import AskedPortfolio, Relation
from bailiwick_reports.domain.sales import COUNTING, Asked, Dimension

_LONGEST_SILENCE = 36_500
_UNIQUE: dict[str, Any] = {"uniqueItems": True}

Source = Literal["visit", "phone", "whatsapp", "other", "portal", "import"]
State = Literal["placed", "confirmed", "fulfilled"]
SalesDimension = Literal["day", "month", "author", "credited_to", "customer", "country", "source"]
CreditDimension = Literal["day", "month", "source"]


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        msg = "Name each once"
        raise ValueError(msg)
    return values


IdOrFormer = Annotated[UUID | Literal["former"], id_or("former")]
IdOrOthers = Annotated[UUID | Literal["others"], id_or("others")]
IdOrHouseOrOthers = Annotated[UUID | Literal["house", "others"], id_or("house", "others")]


class Period(Model):
    """Of which days."""

    order_date_from: Day | None = Field(default=None, description="This day and later")
    order_date_to: Day | None = Field(default=None, description="This day and earlier")


class SalesQuery(Period):
    """What sales are grouped by and narrowed to."""

    by: Annotated[tuple[SalesDimension, ...], AfterValidator(_once)] = Field(
        default=(),
        max_length=2,
        description="What to group by; may be repeated once",
        json_schema_extra=_UNIQUE,
    )
    state: Annotated[tuple[State, ...], AfterValidator(_once)] = Field(
        default=(),
        description="Which orders count; may be repeated; all three unless named",
        json_schema_extra=_UNIQUE,
    )
    source: Source | None = None
    customer_id: IdOrFormer | None = Field(
        default=None, description="`former`: customers that you represent no more"
    )
    country: CountryOrNone | None = Field(
        default=None,
        description="Of the customer's primary address as it is now; `none`: without one",
    )
    author_id: IdOrOthers | None = Field(
        default=None, description="Who made the order; `others`: not you"
    )
    credited_to: IdOrHouseOrOthers | None = Field(
        default=None, description="`house`: credited to nobody; `others`: not credited to you"
    )
    currency: CurrencyEver | None = None

    def asked(self) -> Asked:
        """Return what the query takes."""
        return Asked(
            by=tuple(Dimension(one) for one in self.by),
            states=tuple(one for one in COUNTING if one in self.state) or COUNTING,
            order_date_from=self.order_date_from,
            order_date_to=self.order_date_to,
            source=self.source,
            customer=self.customer_id,
            country=self.country,
            author=self.author_id,
            credited_to=self.credited_to,
            currency=self.currency,
        )


class CreditQuery(Period):
    """What the caller's own credit is grouped by and narrowed to."""

    by: Annotated[tuple[CreditDimension, ...], AfterValidator(_once)] = Field(
        default=(),
        max_length=2,
        description="What to group by; may be repeated once",
        json_schema_extra=_UNIQUE,
    )
    source: Source | None = None
    currency: CurrencyEver | None = None

    def asked(self) -> Asked:
        """Return what the query takes; whose credit it is, the query itself knows."""
        return Asked(
            by=tuple(Dimension(one) for one in self.by),
            order_date_from=self.order_date_from,
            order_date_to=self.order_date_to,
            source=self.source,
            currency=self.currency,
        )


class PortfolioQuery(Period):
    """What a portfolio is narrowed to; the dates narrow its figures, not its customers."""

    silent_for: int | None = Field(
        default=None,
        ge=1,
        le=_LONGEST_SILENCE,
        description="Customers without an order in as many days, ending today",
    )
    relation: Relation | None = Field(default=None, description="How you stand to the customer")

    def asked(self) -> AskedPortfolio:
        """Return what the query takes."""
        return AskedPortfolio(
            order_date_from=self.order_date_from,
            order_date_to=self.order_date_to,
            silent_for=self.silent_for,
            relation=self.relation,
        )


class TeamQuery(Period):
    """Which days' credit is compared."""

    def asked(self) -> Asked:
        """Return what the query takes."""
        return Asked(order_date_from=self.order_date_from, order_date_to=self.order_date_to)
