"""Events of identity: organizations with their settings, and who is a member of them with what rights."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import override

from bailiwick_contracts.envelope import Payload, Pii, Sequenced
from bailiwick_contracts.instants import Instant

MemberKind = Literal["member", "service"]
MembershipMode = Literal["role", "permissions"]
MembershipStatus = Literal["invited", "active", "inactive"]
Role = Literal[
    "brand_manager",
    "sales_manager",
    "sales_representative",
    "sales_administrator",
    "sales_assistant",
    "custom_member",
]
Permission = Literal[
    "seller",
    "customers",
    "orders",
    "reports",
    "products",
    "prices",
    "collections",
    "integrations",
    "settings",
    "members",
]
TickColumn = Literal["products", "inventory", "looks", "prices", "collections", "customers"]
Tick = Literal["view", "edit"]
Language = Literal["es", "en", "fr"]


class Settings(Payload):
    """How an organization works, where there is a choice."""  # domain §3, with its defaults

    assignment_model: Literal["main_plus_additional", "single"] = Field(
        default="main_plus_additional",
        description="Whether a customer may have additional representatives beside the main one.",
    )
    creator_keeps_access: bool = Field(
        default=False, description="Who created a customer goes on viewing it after losing it."
    )
    rep_customers_need_approval: bool = Field(
        default=False, description="Customers that a representative creates start as pending."
    )
    author_keeps_order_view: bool = Field(
        default=True, description="Who wrote an order goes on viewing it after losing the customer."
    )
    additional_full_rights: bool = Field(
        default=False, description="Additional representatives may do what the main one may."
    )
    notify_additional: bool = Field(
        default=False, description="Additional representatives get mail about new orders too."
    )


class OrganizationChanged(Sequenced):
    """An organization was made, or something about it changed."""

    type: ClassVar[str] = "identity.organization.changed.v1"

    name: str = Field(description="What the company is called.")
    settings: Settings = Field(description="How it works.")
    package: str = Field(description="What it subscribes to.")
    seat_limit: int | None = Field(description="How many seats the package gives; null: no limit.")
    time_zone: str = Field(description="IANA name; order dates are dates in this zone.")
    currency: str = Field(description="ISO 4217; the currency of an order that names none.")

    @property
    @override
    def subject(self) -> UUID:
        return self.org_id


class MemberChanged(Sequenced):
    """A membership, a person's or a storefront's, was made or changed; it is never deleted."""

    type: ClassVar[str] = "identity.member.changed.v1"

    member_id: UUID = Field(description="The membership: one a person and organization, for ever.")
    kind: MemberKind = Field(description="A person, or a service account such as a web shop's.")
    mode: MembershipMode = Field(description="Which of the next two says what they may do.")
    role: Role | None = Field(description="In role mode: the one role.")
    permissions: tuple[Permission, ...] = Field(description="In permissions mode: what is granted.")
    ticks: dict[TickColumn, Tick] = Field(description="Of a custom member: what is ticked.")
    collections: tuple[UUID, ...] = Field(description="Of a sales manager: those they may edit.")
    status: MembershipStatus = Field(description="Only an active membership may do anything.")
    valid_from: Instant = Field(description="From this instant on it holds.")
    valid_until: Instant = Field(description="From this instant on it no longer holds.")
    name: Annotated[str | None, Pii] = Field(description="Null once erased.")
    email: Annotated[str | None, Pii] = Field(
        description="Null once erased, or of a service account."
    )
    language: Language = Field(default="en", description="The language to write to them in.")

    @property
    @override
    def subject(self) -> UUID:
        return self.member_id
