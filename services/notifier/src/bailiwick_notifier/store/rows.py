"""Between rows and the domain: the one place that knows how what a mail tells is stored."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.engine import RowMapping

from bailiwick_access.caller import caller_of
from bailiwick_contracts.orders import OrderEvent, OrderPlaced
from bailiwick_kit.bus.handling import Received
from bailiwick_kit.clock import Clock
from bailiwick_notifier.domain.delivery import Delivery, State
from bailiwick_notifier.domain.notice import Notice
from bailiwick_notifier.domain.order import Line, NewOrder
from bailiwick_notifier.domain.preferences import NewOrders, Preferences
from bailiwick_notifier.store.members import Person

_PEOPLE = ("customer_id", "placed_by", "main_id", "assignment_seq")
_CONTENT = {"customer_name", "placed_at", "source", "lines", "net", "currency", "note"}
_AMOUNTS = ("quantity", "unit_price", "discount", "net")


def notice_row(received: Received, clock: Clock) -> dict[str, Any]:
    """Return the columns of an order that has just come in."""
    event, now = received.event, clock.now()
    assert isinstance(event, OrderPlaced)  # noqa: S101  # it is subscribed to nothing else
    return {
        **event.model_dump(include={"org_id", "order_id", "author_id", "state", *_PEOPLE}),
        "event_id": received.event_id,
        "order_number": event.number,
        "author_keeps_view": event.is_view_kept,
        "additional_ids": list(event.additional_ids),
        "content": event.model_dump(mode="json", include=_CONTENT),
        "taken_at": now,
        "next_look_at": now,
        "trace_parent": received.trace_parent,
    }


def changed_row(received: Received, clock: Clock) -> dict[str, Any]:
    """Return the columns of an order that has changed since it came in."""
    event = received.event
    assert isinstance(event, OrderEvent)  # noqa: S101  # it is subscribed to nothing else
    return {
        **event.model_dump(include={"org_id", "order_id", "version", "state"}),
        "content": event.model_dump(mode="json", include=_CONTENT),
        "heard_at": clock.now(),
    }


def to_notice(row: RowMapping) -> Notice:
    """Return the notice in a row with `told`."""
    return Notice(
        org_id=row["org_id"],
        event_id=row["event_id"],
        additional_ids=tuple(row["additional_ids"]),
        taken_at=row["taken_at"],
        trace_parent=row["trace_parent"],
        told=frozenset(row["told"]),
        **{name: row[name] for name in _PEOPLE},
    )


def to_new_order(row: RowMapping) -> NewOrder:
    """Return what the mail tells, from a notice's row with `placed_by_name` and what has changed since."""
    content = row["changed_content"] or row["content"]
    placed_at = content["placed_at"]
    return NewOrder(
        order_id=row["order_id"],
        number=row["order_number"],
        customer_name=content["customer_name"],
        placed_at=datetime.fromisoformat(placed_at) if placed_at else row["taken_at"],
        source=content["source"],
        placed_by_name=row["placed_by_name"],
        lines=tuple(
            Line(line["sku"], line["name"], **{name: Decimal(line[name]) for name in _AMOUNTS})
            for line in content["lines"]
        ),
        net=Decimal(content["net"]),
        currency=content["currency"],
        note=content["note"],
        is_cancelled=row["changed_state"] == "cancelled",
    )


def to_person(row: RowMapping, now: datetime) -> Person:
    """Return the person in a row of members with their organization's."""
    is_in_force = row["status"] == "active" and row["valid_from"] <= now < row["valid_until"]
    return Person(
        caller=caller_of(row, row["member_id"], now),
        organization_name=row["organization_name"],
        is_active=is_in_force and row["kind"] == "member",
        email=row["email"],
        language=row["language"],
    )


def to_preferences(row: RowMapping | None) -> Preferences:
    """Return the preferences in a row; without one, those that everybody begins with."""
    if row is None:
        return Preferences()
    return Preferences(NewOrders(row["new_orders"]), row["language"], row["version"])


def to_delivery(row: RowMapping) -> Delivery:
    """Return the delivery in a row with `member_name`."""
    names = [name for name in Delivery.__dataclass_fields__ if name != "state"]
    return Delivery(**{name: row[name] for name in names}, state=State(row["state"]))
