"""An order: its lines, what they come to, and the states it goes through (domain §5)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from uuid import UUID
from zoneinfo import ZoneInfo

from bailiwick_kit.errors import Fault
from bailiwick_orders.domain.customer import Customer
from bailiwick_orders.domain.errors import AmountTooLarge, OrderStateForbids, OtherCurrency
from bailiwick_orders.domain.money import line_net

NUMBER_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ23456789"
"""No vowels: a random number spells nothing (D5)."""
LARGEST = Decimal(10) ** 14
"""Every amount is less than this: 18 digits, four of them decimals."""
MOST_LINES = 2000


class State(StrEnum):
    """Where an order is in its life."""

    DRAFT = "draft"
    PLACED = "placed"
    CONFIRMED = "confirmed"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"


class Source(StrEnum):
    """How an order came about (V6). `portal` is the buyer's own, through a storefront."""

    PORTAL = "portal"
    VISIT = "visit"
    PHONE = "phone"
    WHATSAPP = "whatsapp"
    OTHER = "other"
    IMPORT = "import"


@dataclass(frozen=True)
class Line:
    """What is ordered. `discount` is a fraction: 0.05 is five per cent."""

    sku: str
    name: str
    quantity: Decimal
    unit_price: Decimal
    discount: Decimal = Decimal(0)

    @cached_property
    def net(self) -> Decimal:
        """Quantity × unit price × (1 − discount), four decimals, half up."""
        return line_net(self.quantity, self.unit_price, self.discount)


@dataclass(frozen=True)
class Order:
    """An order as it stands.

    `author_keeps_view` is fixed when the order is placed: the author placed it, or represented the customer
    then. Until then, and for ever if it is never placed, it is false (domain §3, D11).
    """

    org_id: UUID
    order_id: UUID
    number: str
    customer_id: UUID
    customer_name: str
    author_id: UUID
    source: Source
    currency: str
    lines: tuple[Line, ...]
    listed_at: datetime
    note: str | None = None
    state: State = State.DRAFT
    placed_by: UUID | None = None
    placed_at: datetime | None = None
    order_date: date | None = None
    credited_to: UUID | None = None
    author_keeps_view: bool = False
    version: int = 1
    imported: bool = False
    import_source: str | None = None
    external_ref: str | None = None

    @property
    def net(self) -> Decimal:
        """The sum of the lines' nets, exact."""
        return net_of(self.lines)

    def placed(
        self,
        customer: Customer,
        *,
        by: UUID,
        at: datetime,
        time_zone: str,
        credited_to: UUID | None,
        author_represents: bool,
    ) -> Order:
        """Let the draft come in as a new order, once; it fixes credit, date and the author's view.

        `author_represents`: the author is main or additional for the customer at that instant.

        Raises:
            OrderStateForbids: it is no draft any more.
            CustomerStateForbids: the customer waits for approval, or is suspended.
        """
        self._check_state("placed", State.DRAFT)
        customer.check_orders_are_placed()
        return replace(
            self,
            state=State.PLACED,
            customer_name=customer.name,
            placed_by=by,
            placed_at=at,
            order_date=date_in(time_zone, at),
            credited_to=credited_to,
            author_keeps_view=by == self.author_id or author_represents,
        )

    def edited(self, customer: Customer, lines: tuple[Line, ...] | None, note: str | None) -> Order:
        """Change the lines, where there are new ones, and the note.

        Raises:
            OrderStateForbids: it is fulfilled or cancelled.
            AmountTooLarge: an amount is more than can be kept.
            CustomerStateForbids: the customer is suspended, and would have more to pay.
        """
        self._check_state("edited", State.DRAFT, State.PLACED, State.CONFIRMED)
        if lines is not None:
            check_amounts(lines)
            # A draft is nothing to pay yet, and is not placed while its customer is suspended.
            if self.state is not State.DRAFT and net_of(lines) > self.net:
                customer.check_more_is_payable()
        return self._next(lines=self.lines if lines is None else lines, note=note)

    def confirmed(self, customer: Customer) -> Order:
        """Confirm a placed order.

        Raises:
            OrderStateForbids: it is not placed, or more than that.
            CustomerStateForbids: the customer is suspended.
        """
        self._check_state("confirmed", State.PLACED)
        customer.check_more_is_payable()
        return self._next(state=State.CONFIRMED)

    def fulfilled(self) -> Order:
        """Mark a confirmed order as fulfilled.

        Raises:
            OrderStateForbids: it is not confirmed.
        """
        self._check_state("fulfilled", State.CONFIRMED)
        return self._next(state=State.FULFILLED)

    def cancelled(self) -> Order:
        """Cancel the order.

        Raises:
            OrderStateForbids: it is fulfilled, or cancelled already.
        """
        self._check_state("cancelled", State.DRAFT, State.PLACED, State.CONFIRMED)
        return self._next(state=State.CANCELLED)

    def as_next_version(self) -> Order:
        """Return it as a later version of itself."""
        return self._next()

    def _check_state(self, becoming: str, *allowed: State) -> None:
        if self.state not in allowed:
            names = " or ".join(allowed)
            detail = f"The order is {self.state}; only from {names} can it be {becoming}."
            raise OrderStateForbids(detail)

    def _next(self, **changes: object) -> Order:
        return replace(self, **changes, version=self.version + 1)  # type: ignore[arg-type] # ours


def net_of(lines: Iterable[Line]) -> Decimal:
    """Return the sum of the lines' nets, exact."""
    return sum((line.net for line in lines), Decimal("0.0000"))


def check_amounts(lines: Iterable[Line]) -> None:
    """Make sure that every amount can be kept.

    Raises:
        AmountTooLarge: a line's net, or their sum, has more than fourteen digits before the point.
    """
    total = Decimal(0)
    for index, line in enumerate(lines):
        total += line.net
        if total >= LARGEST:
            message = "Split the order: an amount has at most 14 digits before the point."
            fault = Fault(f"lines[{index}]", "amount-too-large", message)
            raise AmountTooLarge(faults=(fault,))


def check_currency(currency: str, priced_in: str) -> None:
    """Make sure that the lines are priced in the order's currency: an order has one (domain §5).

    Raises:
        OtherCurrency: they are not.
    """
    if priced_in != currency:
        message = f"This order is in {currency}, and an order has one currency."
        raise OtherCurrency(
            faults=(Fault("lines[0].unit_price.currency", "other-currency", message),)
        )


def date_in(time_zone: str, instant: datetime) -> date:
    """Return the date in the zone: what an order is dated, and reports bucket by."""
    return instant.astimezone(ZoneInfo(time_zone)).date()


def random_number() -> str:
    """Return an order number: short and random, because a counter would show others' volume (D5)."""
    return "".join(secrets.choice(NUMBER_ALPHABET) for _ in range(8))
