"""Made-up orders, as orders would tell them: by events, as snapshots, and added up."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from bailiwick_contracts.orders import (
    OrderCancelled,
    OrderConfirmed,
    OrderDrafted,
    OrderEdited,
    OrderEvent,
    OrderFulfilled,
    OrderLine,
    OrderPlaced,
    OrderSnapshot,
    Source,
)
from bailiwick_testkit.fakes.people import LONG_AGO

KEY = ("customer_id", "author_id", "credited_to", "source", "order_date", "currency", "state")
"""What orders adds up by."""

A_DAY = date(2026, 1, 15)
_SOURCES: tuple[Source, ...] = ("portal", "visit", "phone", "whatsapp", "other", "import")


@dataclass
class MadeUpOrders:
    """Stands in for orders, for one organization. `told` is every event so far, in order.

    `newest` is each order as its latest event tells it.
    """

    org_id: UUID
    told: list[OrderEvent] = field(default_factory=list)
    newest: dict[UUID, OrderEvent] = field(default_factory=dict)

    def draft(self, customer_id: UUID, author_id: UUID, **changes: Any) -> UUID:
        """Make a draft, of one line of 20.00 EUR unless changed."""
        state = {
            "order_id": uuid4(),
            "number": uuid4().hex[:8].upper(),
            "customer_id": customer_id,
            "customer_name": "Librería Sol",
            "author_id": author_id,
            "placed_by": None,
            "credited_to": None,
            "source": "phone",
            "state": "draft",
            "order_date": None,
            "listed_at": LONG_AGO,
            "placed_at": None,
            "currency": "EUR",
            "lines": [a_line()],
            "main_id": None,
            "additional_ids": (),
            "assignment_seq": 1,
            **changes,
        }
        return self._tell(OrderDrafted, state).order_id

    def place(self, order_id: UUID, credited_to: UUID | None, day: date = A_DAY) -> None:
        """Place a draft, to somebody's credit or the house's."""
        by = self.newest[order_id].author_id
        placed = {"placed_by": by, "credited_to": credited_to, "order_date": day}
        self.change(OrderPlaced, order_id, state="placed", placed_at=LONG_AGO, **placed)

    def placed(
        self,
        customer_id: UUID,
        author_id: UUID,
        credited_to: UUID | None,
        day: date = A_DAY,
        **changes: Any,
    ) -> UUID:
        """Make an order that is placed at once, told as placed only."""
        placed = {"placed_by": author_id, "credited_to": credited_to, "order_date": day}
        order_id = self.draft(
            customer_id,
            author_id,
            **{**placed, "state": "placed", "placed_at": LONG_AGO, **changes},
        )
        self.told[-1] = self.newest[order_id] = OrderPlaced(**dict(self.newest[order_id]))
        return order_id

    def edit(self, order_id: UUID, *lines: OrderLine) -> None:
        """Change an order's lines."""
        by = self.newest[order_id].author_id
        self.change(OrderEdited, order_id, lines=lines, edited_by=by)

    def confirm(self, order_id: UUID) -> None:
        """Confirm a placed order."""
        self.change(OrderConfirmed, order_id, state="confirmed")

    def fulfil(self, order_id: UUID) -> None:
        """Mark a confirmed order as fulfilled."""
        self.change(OrderFulfilled, order_id, state="fulfilled")

    def cancel(self, order_id: UUID) -> None:
        """Cancel an order."""
        self.change(OrderCancelled, order_id, state="cancelled")

    def change(self, event: type[OrderEvent], order_id: UUID, **changes: Any) -> OrderEvent:
        """Tell what happened to an order."""
        return self._tell(event, {**dict(self.newest[order_id]), **changes})

    def snapshots(self) -> list[OrderEvent]:
        """Return every order as it stands, as orders tells it to who rebuilds."""
        return [OrderSnapshot(**dict(event)) for event in self.newest.values()]

    def tally(self) -> dict[tuple[Any, ...], tuple[int, Decimal, Decimal]]:
        """Add up what was placed: orders, pieces and net by `KEY`."""
        sums: dict[tuple[Any, ...], tuple[int, Decimal, Decimal]] = {}
        for order in self.newest.values():
            if order.order_date is not None:
                key = tuple(getattr(order, name) for name in KEY)
                count, pieces, net = sums.get(key, (0, Decimal(0), Decimal(0)))
                more = sum((line.quantity for line in order.lines), Decimal(0))
                sums[key] = (count + 1, pieces + more, net + order.net)
        return sums

    def trade(
        self, draw: random.Random, customers: Sequence[UUID], members: Sequence[UUID], acts: int
    ) -> None:
        """Let members draft, place, edit, confirm, fulfil and cancel orders at random."""
        for _ in range(acts):
            order = draw.choice([None, *self.newest.values()])
            if order is None or draw.random() < 0.3:  # noqa: PLR2004 - so often
                source, currency = draw.choice(_SOURCES), draw.choice(["EUR", "EUR", "GBP"])
                lines = _some_lines(draw)
                described = {"source": source, "currency": currency, "lines": lines}
                who, customer = draw.choice(members), draw.choice(customers)
                if draw.random() < 0.5:  # noqa: PLR2004 - likewise
                    self.draft(customer, who, **described)
                else:
                    self.placed(
                        customer, who, _somebody(draw, members), _some_day(draw), **described
                    )
            else:
                self._next(draw, order, members)

    def _next(self, draw: random.Random, order: OrderEvent, members: Sequence[UUID]) -> None:
        match order.state, draw.randrange(3):
            case "draft", 0:
                self.place(order.order_id, _somebody(draw, members), _some_day(draw))
            case "placed", 0:
                self.confirm(order.order_id)
            case "confirmed", 0:
                self.fulfil(order.order_id)
            case "draft" | "placed" | "confirmed", 1:
                self.cancel(order.order_id)
            case "draft" | "placed" | "confirmed", _:
                self.edit(order.order_id, *_some_lines(draw))
            case _:
                pass

    def _tell(self, event: type[OrderEvent], state: dict[str, Any]) -> OrderEvent:
        known = self.newest.get(state["order_id"])
        net = sum((line.net for line in state["lines"]), Decimal(0))
        version = known.version + 1 if known else 1
        told = event(**{**state, "org_id": self.org_id, "version": version, "net": net})
        self.newest[told.order_id] = told
        self.told.append(told)
        return told


def a_line(quantity: str = "2", net: str = "20.00") -> OrderLine:
    """Return a line that comes to a net."""
    price = Decimal(net) / Decimal(quantity)
    return OrderLine(
        sku="TEA-1",
        name="Tea",
        quantity=Decimal(quantity),
        unit_price=price.quantize(Decimal("0.0001")),
        discount=Decimal(0),
        net=Decimal(net),
    )


def _some_lines(draw: random.Random) -> list[OrderLine]:
    return [
        a_line(
            f"{draw.randrange(1, 10_000)}.25",
            f"{draw.randrange(1, 10**6)}.{draw.randrange(10**4):04}",
        )
        for _ in range(draw.randrange(1, 4))
    ]


def _some_day(draw: random.Random) -> date:
    return A_DAY + timedelta(days=draw.randrange(-40, 40))


def _somebody(draw: random.Random, members: Sequence[UUID]) -> UUID | None:
    return draw.choice([None, *members])
