"""What a list of orders may be narrowed by, and how a wrong filter is worded."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from bailiwick_kit.text.iso import CountryOrNone, CurrencyEver
from bailiwick_kit.text.strings import Text
from bailiwick_kit.web.fields import Day, Model, id_or
from bailiwick_kit.web.pages import PageQuery
from bailiwick_orders.api.schemas import AnySource, State
from bailiwick_orders.domain.views import Filters

IdOrFormer = Annotated[UUID | Literal["former"], id_or("former")]
IdOrOthers = Annotated[UUID | Literal["others"], id_or("others")]
IdOrHouseOrOthers = Annotated[UUID | Literal["house", "others"], id_or("house", "others")]


class OrderFilters(Model):
    """What orders are narrowed by, to list or to count them."""

    customer_id: IdOrFormer | None = Field(
        default=None, description="`former`: customers that you represent no more"
    )
    country: CountryOrNone | None = Field(
        default=None,
        description="Of the customer's primary address as it is now, not as it was when the order"
        " was placed; `none`: without one",
    )
    currency: CurrencyEver | None = None
    state: tuple[State, ...] = Field(default=(), description="May be repeated: any of them")
    source: AnySource | None = None
    author_id: IdOrOthers | None = Field(
        default=None, description="Who made the draft; `others`: not you"
    )
    placed_by: UUID | None = None
    credited_to: IdOrHouseOrOthers | None = Field(
        default=None,
        description="`house`: placed, and credited to nobody; `others`: placed, and not credited"
        " to you",
    )
    order_date_from: Day | None = Field(default=None, description="This day and later")
    order_date_to: Day | None = Field(default=None, description="This day and earlier")
    text: Text | None = Field(
        default=None,
        description="How the order's number begins, or the number that it had where it was imported from;"
        " or beginnings of words of the customer's name as the order shows it, in any order",
    )

    def filters(self, *, hides_customers: bool) -> Filters:
        """Return what the query takes."""
        return Filters(
            customer_id=self.customer_id,
            country=self.country,
            currency=self.currency,
            states=self.state,
            source=self.source,
            author_id=self.author_id,
            placed_by=self.placed_by,
            credited_to=self.credited_to,
            order_date_from=self.order_date_from,
            order_date_to=self.order_date_to,
            text=self.text,
            hides_customers=hides_customers,
        )


class OrderListQuery(OrderFilters, PageQuery):
    """Which orders are listed, page by page."""
