"""Between rows and the domain: the one place that knows how an order is stored, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from sqlalchemy.engine import RowMapping

from bailiwick_contracts import orders as wire
from bailiwick_orders.domain.change import Change, Happening
from bailiwick_orders.domain.customer import Customer
from bailiwick_orders.domain.order import Line, Order, Source, State
from bailiwick_orders.domain.views import EarlierVersion

_EVENTS: dict[Happening, type[wire.OrderEvent]] = {
    Happening.DRAFTED: wire.OrderDrafted,
    Happening.PLACED: wire.OrderPlaced,
    Happening.EDITED: wire.OrderEdited,
    Happening.CONFIRMED: wire.OrderConfirmed,
    Happening.FULFILLED: wire.OrderFulfilled,
    Happening.CANCELLED: wire.OrderCancelled,
    Happening.SNAPSHOT: wire.OrderSnapshot,
}
_PLAIN = (
    "org_id",
    "order_id",
    "number",
    "customer_id",
    "customer_name",
    "author_id",
    "placed_by",
    "credited_to",
    "author_keeps_view",
    "order_date",
    "listed_at",
    "placed_at",
    "currency",
    "note",
    "imported",
    "import_source",
    "external_ref",
    "version",
)
_IN_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def line_rows(lines: Sequence[Line]) -> list[dict[str, str]]:
    """Return lines as they are kept: decimals as text, so that no JSON reader rounds them."""
    return [
        {
            "sku": line.sku,
            "name": line.name,
            "quantity": format(line.quantity, "f"),
            "unit_price": format(line.unit_price, "f"),
            "discount": format(line.discount, "f"),
        }
        for line in lines
    ]


def to_lines(rows: Sequence[dict[str, str]]) -> tuple[Line, ...]:
    """Return the lines in a row."""
    return tuple(
        Line(
            row["sku"],
            row["name"],
            Decimal(row["quantity"]),
            Decimal(row["unit_price"]),
            Decimal(row["discount"]),
        )
        for row in rows
    )


def order_row(order: Order) -> dict[str, Any]:
    """Return an order's columns."""
    return {
        **{name: getattr(order, name) for name in _PLAIN},
        "former_number": searched_number(order.external_ref) if order.external_ref else None,
        "source": order.source.value,
        "state": order.state.value,
        "lines": line_rows(order.lines),
        "net": order.net,
    }


def searched_number(text: str) -> str:
    """Return a former number as it is searched for: A to Z in lower case, as a migration's SQL does it."""
    return text.translate(_IN_LOWER)


def to_order(row: RowMapping) -> Order:
    """Return the order in a row; a list's rows come without lines and note."""
    return Order(
        **{name: row[name] for name in _PLAIN if name in row},
        source=Source(row["source"]),
        state=State(row["state"]),
        lines=to_lines(row["lines"]) if "lines" in row else (),
    )


def to_earlier_version(row: RowMapping) -> EarlierVersion:
    """Return what an edit replaced."""
    names = ("version", "net", "note", "replaced_at", "replaced_by", "reason")
    return EarlierVersion(**{name: row[name] for name in names}, lines=to_lines(row["lines"]))


def to_customer(row: RowMapping, *, prefix: str = "") -> Customer:
    """Return the customer in a row."""
    names = ("org_id", "customer_id", "name", "status", "created_by")
    return Customer(**{name: row[prefix + name] for name in names})


def order_event(order: Order, change: Change) -> wire.OrderEvent:
    """Return what the bus is told: the whole order, and who represented its customer (D17)."""
    state: dict[str, Any] = {
        **{name: getattr(order, name) for name in _PLAIN},
        "source": order.source.value,
        "state": order.state.value,
        "lines": tuple(
            wire.OrderLine.model_construct(
                sku=line.sku,
                name=line.name,
                quantity=line.quantity,
                unit_price=line.unit_price,
                discount=line.discount,
                net=line.net,
            )
            for line in order.lines
        ),
        "net": order.net,
        "main_id": change.representation.main_id,
        "additional_ids": change.representation.additional_ids,
        "assignment_seq": change.representation.seq,
    }
    del state["import_source"], state["external_ref"]
    if change.happening is Happening.EDITED:
        return wire.OrderEdited(**state, edited_by=change.by, reason=change.reason)
    return _EVENTS[change.happening](**state)
