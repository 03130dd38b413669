"""A membership: one account's, or one storefront's, in one organization, for ever."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from bailiwick_identity.domain.errors import AlreadyActive, AlreadyInactive, NotInvited
from bailiwick_identity.domain.grants import Grants
from bailiwick_kit.errors import Forbidden

OPERATOR = UUID(int=0)
"""Who acts in the audit trail when a command line does: nobody of the organization."""
_ASK = "Ask a manager of your organization."


class Kind(StrEnum):
    """A person, or a storefront (D2)."""

    MEMBER = "member"
    SERVICE = "service"


class Status(StrEnum):
    """Where a membership is in its life. Invited: its account's owner has not accepted yet (D3)."""

    INVITED = "invited"
    ACTIVE = "active"
    INACTIVE = "inactive"


class Standing(StrEnum):
    """How a membership is listed: by its status, unless its time is over."""

    INVITED = "invited"
    ACTIVE = "active"
    INACTIVE = "inactive"
    EXPIRED = "expired"


def standing(status: Status, valid_until: datetime, now: datetime) -> Standing:
    """Return how a membership is listed now; who was deactivated stays so, also once it is over."""
    is_over = status is not Status.INACTIVE and valid_until <= now
    return Standing.EXPIRED if is_over else Standing(status.value)


@dataclass(frozen=True)
class NewMember:
    """Who is to become a member, with what grants; None stands for now, and for an open end."""

    name: str
    email: str
    password: str = field(repr=False)
    grants: Grants
    language: str
    valid_from: datetime | None
    valid_until: datetime | None


@dataclass(frozen=True)
class Filters:
    """What a list of members is narrowed by; all of it holds at once."""

    status: Standing | None = None
    kind: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Member:
    """A membership as it stands, valid in [valid_from, valid_until)."""

    org_id: UUID
    member_id: UUID
    kind: Kind
    grants: Grants
    status: Status
    valid_from: datetime
    valid_until: datetime
    name: str
    email: str | None
    language: str
    created_at: datetime
    account_id: UUID | None
    accepted_at: datetime | None
    version: int = 1
    import_source: str | None = None
    external_ref: str | None = None

    def is_valid(self, now: datetime) -> bool:
        """Tell whether now is within the membership's time."""
        return self.valid_from <= now < self.valid_until

    def check_open(self, now: datetime) -> None:
        """Refuse to say anything to who is a member no more; an invitation may be looked at.

        Raises:
            Forbidden: it is inactive, or not within its time; the reason says which.
        """
        if not self.is_valid(now):
            raise Forbidden(_ASK, reasons=("membership-expired",))
        if self.status is Status.INACTIVE:
            raise Forbidden(_ASK, reasons=("account-inactive",))

    def uses_seat(self, now: datetime) -> bool:
        """Tell whether it takes a seat: active members and open invitations do, storefronts never (L1)."""
        return (
            self.kind is Kind.MEMBER
            and self.status is not Status.INACTIVE
            and now < self.valid_until
        )

    def leads(self, now: datetime, end_of_time: datetime) -> bool:
        """Tell whether the organization can rely on this brand manager from now on and for good."""
        lasting = self.valid_from <= now and self.valid_until >= end_of_time
        return self.status is Status.ACTIVE and self.grants.leads and lasting

    def deactivate(self) -> Member:
        """End the membership, or withdraw the invitation; it can come back.

        Raises:
            AlreadyInactive: it has ended already.
        """
        if self.status is Status.INACTIVE:
            raise AlreadyInactive("Read the member again.")
        return replace(self, status=Status.INACTIVE, version=self.version + 1)

    def reactivate(self) -> Member:
        """Let the member come back; an invitation never accepted is open again, not accepted (D3).

        Raises:
            AlreadyActive: it has not ended.
        """
        if self.status is not Status.INACTIVE:
            raise AlreadyActive("Read the member again.")
        status = Status.ACTIVE if self.accepted_at else Status.INVITED
        return replace(self, status=status, version=self.version + 1)

    def accept(self, now: datetime) -> Member:
        """Accept the invitation, which only its account's owner may.

        Raises:
            NotInvited: it is not open, or over.
        """
        if self.status is not Status.INVITED or now >= self.valid_until:
            raise NotInvited("Ask the organization for another invitation.")
        return replace(self, status=Status.ACTIVE, accepted_at=now, version=self.version + 1)
