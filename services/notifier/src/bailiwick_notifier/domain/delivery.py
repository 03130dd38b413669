"""A delivery: that one member is told of one order; and the mail by which that happens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid5

_DELIVERIES = UUID("6f1ab4f3-6c3c-5d8e-9d0c-6f0c6a1a7b01")
_DIGESTS = UUID("6f1ab4f3-6c3c-5d8e-9d0c-6f0c6a1a7b02")


class State(StrEnum):
    """What became of a delivery. All but pending are for good."""

    PENDING = "pending"
    SENT = "sent"
    SUPPRESSED = "suppressed"
    DECLINED = "declined"
    FAILED = "failed"


IN_VAIN = frozenset({State.SUPPRESSED, State.FAILED})
"""Nobody was told by it. Who declined did not want to be."""


class Problem(StrEnum):
    """Why a mail did not go out, or not yet. A server's own code may follow: `refused-550`."""

    REPLICA_BEHIND = "replica-behind"
    POLICY_UNAVAILABLE = "policy-unavailable"
    OUT_OF_SIGHT = "out-of-sight"
    RECIPIENT_INACTIVE = "recipient-inactive"
    NO_ADDRESS = "no-address"
    PUT_OFF = "put-off"
    MAY_HAVE_ARRIVED = "may-have-arrived"
    REFUSED = "refused"
    NOT_MADE = "not-made"


@dataclass(frozen=True)
class Delivery:
    """That a member is told of an order, as it stands."""

    org_id: UUID
    delivery_id: UUID
    event_id: UUID
    order_id: UUID
    order_number: str
    member_id: UUID
    member_name: str | None
    state: State
    attempts: int
    last_problem: str | None
    created_at: datetime
    next_attempt_at: datetime | None
    sent_at: datetime | None


@dataclass(frozen=True)
class Dispatch:
    """One mail to one member: a delivery, or a day's digest. Whoever claimed it holds it for a while.

    `held_until` is also the mark of the claim: who finds another one has lost it.
    """

    org_id: UUID
    dispatch_id: UUID
    member_id: UUID
    is_digest: bool
    attempts: int
    first_attempt_at: datetime | None
    held_until: datetime

    def message_id(self, domain: str) -> str:
        """Return the Message-ID: the same at every attempt, so that two of a mail can be told to be one."""
        return f"<{self.dispatch_id}@{domain}>"


def delivery_id(event_id: UUID, member_id: UUID) -> UUID:
    """Return the id of the delivery of an event to a member: the same even after a restore (F29)."""
    return uuid5(_DELIVERIES, f"{event_id}:{member_id}")


def digest_id(member_id: UUID, day: str) -> UUID:
    """Return the id of a member's digest of a day."""
    return uuid5(_DIGESTS, f"{member_id}:{day}")


@dataclass(frozen=True)
class Filters:
    """What a list of deliveries is narrowed by; all of it holds at once."""

    states: tuple[str, ...] = ()
    order_id: UUID | None = None
    member_id: UUID | None = None
