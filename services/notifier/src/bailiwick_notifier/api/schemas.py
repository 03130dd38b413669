"""What goes over the wire about mails, and how it becomes the domain's and comes from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from bailiwick_kit.web.fields import Model
from bailiwick_kit.web.pages import PageQuery
from bailiwick_notifier.domain.delivery import Delivery, Filters
from bailiwick_notifier.domain.preferences import NewOrders, Preferences

State = Literal["pending", "sent", "suppressed", "declined", "failed"]
Language = Literal["es", "en", "fr"]


class PreferencesToBe(Model):
    """What you want of mails about new orders, whole: without a language it is your membership's."""

    new_orders: Literal["at_once", "daily", "off"]
    language: Language | None = None

    def command(self) -> tuple[NewOrders, str | None]:
        """Return what the action takes."""
        return NewOrders(self.new_orders), self.language


class PreferencesBody(Model):
    """What you want of mails about new orders; `daily` is one mail at seven in the morning."""

    new_orders: Literal["at_once", "daily", "off"]
    language: Language | None
    version: int


class DeliveryFilters(Model):
    """What deliveries are narrowed by, to list or to count them."""

    state: tuple[State, ...] = Field(default=(), description="May be repeated: any of them")
    order_id: UUID | None = None
    member_id: UUID | None = Field(default=None, description="Whom the mails are to")

    def filters(self) -> Filters:
        """Return what the query takes."""
        return Filters(states=self.state, order_id=self.order_id, member_id=self.member_id)


class DeliveryListQuery(DeliveryFilters, PageQuery):
    """Which deliveries are listed, page by page."""


class Recipient(Model):
    """Whom a mail is to. Never where it goes: the address is the member's own."""

    member_id: UUID
    name: str | None


class DeliveryBody(Model):
    """The mail to one member about one new order, and its state.

    `suppressed`: when it was to go out, the member could not view the order, or was no longer active.
    `declined`: the member wants no such mails. `last_problem` is a code.
    """

    delivery_id: UUID
    event_id: UUID
    order_id: UUID
    order_number: str
    member: Recipient
    state: State
    attempts: int
    last_problem: str | None
    created_at: datetime
    sent_at: datetime | None
    next_attempt_at: datetime | None


def preferences_body(preferences: Preferences) -> PreferencesBody:
    """Return preferences as they go over the wire."""
    return PreferencesBody.model_validate(
        {
            "new_orders": preferences.new_orders.value,
            "language": preferences.language,
            "version": preferences.version,
        }
    )


def delivery_body(delivery: Delivery) -> DeliveryBody:
    """Return a delivery as it goes over the wire."""
    return DeliveryBody.model_construct(
        delivery_id=delivery.delivery_id,
        event_id=delivery.event_id,
        order_id=delivery.order_id,
        order_number=delivery.order_number,
        member=Recipient.model_construct(member_id=delivery.member_id, name=delivery.member_name),
        state=delivery.state.value,
        attempts=delivery.attempts,
        last_problem=delivery.last_problem,
        created_at=delivery.created_at,
        sent_at=delivery.sent_at,
        next_attempt_at=delivery.next_attempt_at,
    )


def delivery_facts(delivery: Delivery, caller_id: UUID) -> Mapping[str, object]:
    """Return what policy is told of a delivery and the caller."""
    return {
        "org_id": str(delivery.org_id),
        "recipient": delivery.member_id == caller_id,
        "state": delivery.state.value,
    }
