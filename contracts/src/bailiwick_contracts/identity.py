"""Events of identity: organizations with their settings, and who is a member of them with what rights."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import override

from bailiwick_contracts.envelope import Payload, Pii, Sequenced

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
    """How an organization works, where the sources leave a choice (domain §3). Defaults as stated there."""

    assignment_model: Literal["main_plus_additional", "single"] = "main_plus_additional"
    creator_keeps_access: bool = False
    rep_customers_need_approval: bool = False
    author_keeps_order_view: bool = True
    additional_full_rights: bool = False
    notify_additional: bool = False


class OrganizationChanged(Sequenced):
    """An organization was made, or something about it changed."""

    type: ClassVar[str] = "identity.organization.changed.v1"

    name: str
    settings: Settings
    package: str
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

    member_id: UUID
    kind: MemberKind
    mode: MembershipMode
    role: Role | None
    permissions: tuple[Permission, ...]
    ticks: dict[TickColumn, Tick]
    collections: tuple[UUID, ...]
    status: MembershipStatus
    valid_from: datetime
    valid_until: datetime
    name: Annotated[str | None, Pii]
    email: Annotated[str | None, Pii]
    language: Language = "en"

    @property
    @override
    def subject(self) -> UUID:
        return self.member_id
