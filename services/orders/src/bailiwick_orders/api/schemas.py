"""What goes over the wire about orders, and how it becomes the domain's and comes from it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from bailiwick_access.authorizer import hides
from bailiwick_kit.text.iso import Currency, CurrencyEver
from bailiwick_kit.text.strings import MultilineText, Text, TextRule
from bailiwick_kit.web.fields import Edit, Exact, Model
from bailiwick_orders.actions.create_order import NewOrder
from bailiwick_orders.actions.edit_order import OrderEdit
from bailiwick_orders.domain.order import MOST_LINES, Line, Source
from bailiwick_orders.domain.views import EarlierVersion, Seen
from bailiwick_orders.rules.authorize import Viewed

SentSource = Literal["visit", "phone", "whatsapp", "other", "portal"]
AnySource = Literal["visit", "phone", "whatsapp", "other", "portal", "import"]
State = Literal["draft", "placed", "confirmed", "fulfilled", "cancelled"]


Sku = Annotated[str, TextRule(max_length=60)]


class MoneyBody(Model):
    """An amount in a currency, up to four decimals: {"amount": "12.30", "currency": "EUR"}.

    Of an imported order the currency may be one of the past.
    """

    amount: Exact
    currency: CurrencyEver


class Price(MoneyBody):
    """A price: not negative."""

    amount: Annotated[Exact, Field(ge=Decimal(0))]


class NewLine(Model):
    """A line to order. The discount is a fraction: "0.05" is five per cent."""

    sku: Sku
    name: Text
    quantity: Annotated[Exact, Field(gt=Decimal(0))]
    unit_price: Price
    discount: Annotated[Exact, Field(ge=Decimal(0), le=Decimal(1))] = Decimal(0)


class _Priced(Protocol):
    @property
    def unit_price(self) -> _InACurrency: ...


class _InACurrency(Protocol):
    @property
    def currency(self) -> str: ...


PricedT = TypeVar("PricedT", bound=_Priced)


def in_one_currency(lines: tuple[PricedT, ...]) -> tuple[PricedT, ...]:
    """Refuse lines that are not priced in one currency (domain §5)."""
    if len({line.unit_price.currency for line in lines}) > 1:
        msg = "Price all lines in one currency"
        raise ValueError(msg)
    return lines


Lines = Annotated[
    tuple[NewLine, ...],
    Field(min_length=1, max_length=MOST_LINES, fail_fast=True),
    AfterValidator(in_one_currency),
]


class NewOrderBody(Model):
    """An order to create: a draft, or a placed order with `place`.

    Without a currency it is the organization's. `credited_to` names another representative of the
    customer, where the caller may, and only with `place`.
    """

    customer_id: UUID
    source: SentSource
    currency: Currency | None = None
    lines: Lines
    note: MultilineText | None = None
    credited_to: UUID | None = None
    place: bool = False

    @model_validator(mode="after")
    def _credited_when_placed(self) -> Self:
        if self.credited_to is not None and not self.place:
            msg = "Name credited_to when the order is placed"
            raise ValueError(msg)
        return self

    def command(self) -> NewOrder:
        """Return what the action takes."""
        return NewOrder(
            source=Source(self.source),
            currency=self.currency,
            lines=to_lines(self.lines),
            priced_in=self.lines[0].unit_price.currency,
            note=self.note,
            credited_to=self.credited_to,
            place=self.place,
        )


class ParentBody(Model):
    """For whom an order is: the part of the body that decides whether the rest is looked at."""

    model_config = ConfigDict(extra="ignore")

    customer_id: UUID


class OrderEditBody(Edit):
    """What to change; what is not sent stays. A confirmed order changes with a reason only."""

    lines: Lines | None = None
    note: MultilineText | None = None
    reason: Text | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.lines is None and "note" not in self.model_fields_set:
            msg = "Send lines, note or both"
            raise ValueError(msg)
        return self

    def command(self) -> OrderEdit:
        """Return what the action takes."""
        return OrderEdit(
            lines=to_lines(self.lines) if self.lines else None,
            priced_in=self.lines[0].unit_price.currency if self.lines else None,
            note=self.note,
            sets_note="note" in self.model_fields_set,
            reason=self.reason,
        )


class Placing(Model):
    """What placing may say besides: who is credited, where the caller may name another."""

    credited_to: UUID | None = None


class NamedCustomer(Model):
    """A customer of whom the caller knows no more than the name any more."""

    name: str


class KnownCustomer(NamedCustomer):
    """A customer, by the name that the order keeps."""

    customer_id: UUID


class OrderLineBody(Model):
    """A line of an order, with its net: four decimals, never rounded further."""

    sku: str
    name: str
    quantity: Exact
    unit_price: MoneyBody
    discount: Exact
    net: MoneyBody


class OrderSummary(Model):
    """An order as lists have it. `customer` is only {name} where the caller lost the customer."""

    order_id: UUID
    number: str
    customer: KnownCustomer | NamedCustomer
    author_id: UUID
    placed_by: UUID | None
    credited_to: UUID | None
    source: AnySource
    state: State
    order_date: date | None
    listed_at: datetime
    placed_at: datetime | None
    currency: str
    net: MoneyBody
    imported: bool
    external_ref: str | None = Field(
        description="The number that it had in the system it was imported from"
    )
    version: int


class OrderBody(OrderSummary):
    """An order as the caller may see it."""

    lines: tuple[OrderLineBody, ...]
    note: str | None


class EarlierVersionBody(Model):
    """What an edit replaced: lines and note of a version, who replaced it when, and the reason."""

    version: int
    lines: tuple[OrderLineBody, ...]
    net: MoneyBody
    note: str | None
    replaced_at: datetime
    replaced_by: UUID
    reason: str | None


def to_lines(bodies: Iterable[NewLine]) -> tuple[Line, ...]:
    """Return the domain's lines."""
    return tuple(
        Line(body.sku, body.name, body.quantity, body.unit_price.amount, body.discount)
        for body in bodies
    )


def order_summary(seen: Seen, *, hides_customers: bool) -> OrderSummary:
    """Return the order as a list has it."""
    return OrderSummary.model_construct(**_summary(seen, hides_customers=hides_customers))


def order_body(viewed: Viewed) -> OrderBody:
    """Return the order as it goes over the wire, less what policy masks."""
    order, hides_customers = viewed.seen.order, hides(viewed.masks, "order", "customer")
    return OrderBody.model_construct(
        **_summary(viewed.seen, hides_customers=hides_customers),
        lines=_lines(order.lines, order.currency),
        note=order.note,
    )


def earlier_version_body(earlier: EarlierVersion, currency: str) -> EarlierVersionBody:
    """Return an earlier version as it goes over the wire."""
    return EarlierVersionBody.model_construct(
        version=earlier.version,
        lines=_lines(earlier.lines, currency),
        net=_money(earlier.net, currency),
        note=earlier.note,
        replaced_at=earlier.replaced_at,
        replaced_by=earlier.replaced_by,
        reason=earlier.reason,
    )


def _lines(lines: Iterable[Line], currency: str) -> tuple[OrderLineBody, ...]:
    return tuple(
        OrderLineBody.model_construct(
            sku=line.sku,
            name=line.name,
            quantity=line.quantity,
            unit_price=_money(line.unit_price, currency),
            discount=line.discount,
            net=_money(line.net, currency),
        )
        for line in lines
    )


def _summary(seen: Seen, *, hides_customers: bool) -> dict[str, Any]:
    order = seen.order
    return {
        "order_id": order.order_id,
        "number": order.number,
        "customer": NamedCustomer.model_construct(name=order.customer_name)
        if hides_customers and not seen.is_represented
        else KnownCustomer.model_construct(customer_id=order.customer_id, name=order.customer_name),
        "author_id": order.author_id,
        "placed_by": order.placed_by,
        "credited_to": order.credited_to,
        "source": order.source.value,
        "state": order.state.value,
        "order_date": order.order_date,
        "listed_at": order.listed_at,
        "placed_at": order.placed_at,
        "currency": order.currency,
        "net": _money(seen.net, order.currency),
        "imported": order.imported,
        "external_ref": order.external_ref,
        "version": order.version,
    }


def _money(amount: Decimal, currency: str) -> MoneyBody:
    return MoneyBody.model_construct(amount=amount, currency=currency)
