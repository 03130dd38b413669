"""Events of orders: the whole order as it stands after what happened."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import override

from bailiwick_contracts.envelope import Amount, Event, Payload, Pii
from bailiwick_contracts.instants import Day, Instant

OrderState = Literal["draft", "placed", "confirmed", "fulfilled", "cancelled"]
Source = Literal["portal", "visit", "phone", "whatsapp", "other", "import"]


class OrderLine(Payload):
    """One line; its net has four decimals and is never rounded further."""

    sku: str = Field(description="The seller's code of the article.")
    name: str = Field(description="What the article is called.")
    quantity: Amount
    unit_price: Amount
    discount: Amount = Field(description="A fraction: 0.05 is five per cent.")
    net: Amount = Field(description="quantity × unit_price × (1 − discount), to four places.")


class OrderEvent(Event):
    """The public state of an order, with its people as orders knew them when committing (D17)."""

    order_id: UUID
    number: str = Field(
        description="What people call it: short, random, unique in the organization."
    )
    customer_id: UUID
    customer_name: Annotated[str, Pii]
    author_id: UUID = Field(description="Who made the draft; never changes.")
    placed_by: UUID | None = Field(description="Who placed it: a member or a service account.")
    credited_to: UUID | None = Field(description="Fixed when placed; null then means the house.")
    author_keeps_view: bool | None = Field(
        default=None,
        description="Whether the author goes on viewing it after they no longer represent the customer: they"
        " placed it, or represented the customer when it was placed. Fixed then; false for a draft. Absent"
        " from events of earlier versions.",
    )
    source: Source = Field(description="How it came in.")
    state: OrderState
    order_date: Day | None = Field(description="The date in the organization's zone when placed.")
    listed_at: Instant = Field(description="When it was made; lists go by it.")
    placed_at: Instant | None
    currency: str = Field(description="ISO 4217; one an order.")
    lines: tuple[OrderLine, ...]
    net: Amount = Field(description="The sum of the lines' nets.")
    note: str | None = None
    main_id: UUID | None = Field(description="The customer's main representative at that instant.")
    additional_ids: tuple[UUID, ...] = Field(
        description="The additional representatives, likewise."
    )
    assignment_seq: int = Field(description="The assignments' number that main_id was read under.")
    imported: bool = Field(
        default=False, description="It was imported from another system: nobody has just placed it."
    )

    @property
    @override
    def subject(self) -> UUID:
        return self.order_id

    @property
    def is_view_kept(self) -> bool:
        """`author_keeps_view`; where it is absent, whether the order says enough to be sure of it."""
        if self.author_keeps_view is not None:
            return self.author_keeps_view
        return self.author_id in {self.placed_by, self.credited_to}


class OrderDrafted(OrderEvent):
    """A draft was made."""

    type: ClassVar[str] = "orders.order.drafted.v1"


class OrderPlaced(OrderEvent):
    """A new order came in: draft → placed, once an order."""

    type: ClassVar[str] = "orders.order.placed.v1"


class OrderEdited(OrderEvent):
    """Lines or note changed; a confirmed order's edit has a reason."""

    type: ClassVar[str] = "orders.order.edited.v1"

    edited_by: UUID = Field(description="Who made this version.")
    reason: str | None = Field(default=None, description="Why, for a confirmed order.")


class OrderConfirmed(OrderEvent):
    """The order was confirmed."""

    type: ClassVar[str] = "orders.order.confirmed.v1"


class OrderFulfilled(OrderEvent):
    """The order was fulfilled."""

    type: ClassVar[str] = "orders.order.fulfilled.v1"


class OrderCancelled(OrderEvent):
    """The order was cancelled."""

    type: ClassVar[str] = "orders.order.cancelled.v1"


class OrderSnapshot(OrderEvent):
    """An order as it stands, sent again to one consumer that rebuilds: no mail, no webhook."""  # D19

    type: ClassVar[str] = "orders.order.snapshot.v1"
