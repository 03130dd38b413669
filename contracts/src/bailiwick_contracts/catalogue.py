"""Every event there is, and who listens to what: the source of schemas, queues and bindings (D16, D17)."""

from __future__ import annotations

from collections.abc import Mapping

from bailiwick_contracts.customers import AssignmentChanged, CustomerChanged
from bailiwick_contracts.envelope import Event
from bailiwick_contracts.identity import MemberChanged, OrganizationChanged
from bailiwick_contracts.orders import (
    OrderCancelled,
    OrderConfirmed,
    OrderDrafted,
    OrderEdited,
    OrderFulfilled,
    OrderPlaced,
    OrderSnapshot,
)

PUBLISHED: Mapping[str, tuple[type[Event], ...]] = {
    "identity": (OrganizationChanged, MemberChanged),
    "customers": (CustomerChanged, AssignmentChanged),
    "orders": (
        OrderDrafted,
        OrderPlaced,
        OrderEdited,
        OrderConfirmed,
        OrderFulfilled,
        OrderCancelled,
        OrderSnapshot,
    ),
    "reports": (),
    "notifier": (),
}
"""Publishing service → its events."""

SUBSCRIBED: Mapping[str, Mapping[str, tuple[type[Event], ...]]] = {
    "customers": {"identity": (OrganizationChanged, MemberChanged)},
    "orders": {
        "identity": (OrganizationChanged, MemberChanged),
        "customers": (CustomerChanged, AssignmentChanged),
    },
    "reports": {
        "identity": (OrganizationChanged, MemberChanged),
        "customers": (CustomerChanged, AssignmentChanged),
        "orders": (
            OrderDrafted,
            OrderPlaced,
            OrderEdited,
            OrderConfirmed,
            OrderFulfilled,
            OrderCancelled,
            OrderSnapshot,
        ),
    },
    "notifier": {
        "identity": (OrganizationChanged, MemberChanged),
        "customers": (CustomerChanged, AssignmentChanged),
        "orders": (OrderPlaced, OrderEdited, OrderConfirmed, OrderFulfilled, OrderCancelled),
    },
}
"""Consuming service → publishing service → the events it listens to; a queue each, and one for bulk (D14)."""

RESERVED = (
    "identity.organization.closed.v1",
    "identity.member.erased.v1",
    "customers.customer.erased.v1",
)
"""Types that are spoken for and not published yet (D20)."""

EVENTS: Mapping[str, type[Event]] = {
    event.type: event for events in PUBLISHED.values() for event in events
}
"""Type → class."""

BOUND = frozenset(
    event.type
    for publishers in SUBSCRIBED.values()
    for events in publishers.values()
    for event in events
)
"""Types that a queue is bound to: these are published as mandatory, the others are not (D16)."""

SNAPSHOTS = frozenset(name for name in EVENTS if name.split(".")[2] == "snapshot")
"""Types that do not go through the exchange: told again, to the one queue that asked (D19)."""

SUBSCRIBER = "subscriber"
"""What the queue of any other system begins with, before its organization and its name (D15)."""


def queue_name(consumer: str, publisher: str) -> str:
    """Return the queue in which a consumer finds what a publisher tells."""
    return f"{consumer}.{publisher}"
