"""Assignments: that a member is a customer's main or additional representative, and when.

An assignment is never deleted, it ends. One act is one changeset (D18): everything that it ends and
begins takes effect at the same instant.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

NOTICE = timedelta(seconds=1)
"""What takes something from somebody "now" holds from now + 1 s, in every service at once (D18)."""


class Relation(StrEnum):
    """How a representative stands to a customer (L8)."""

    MAIN = "main"
    ADDITIONAL = "additional"


class Origin(StrEnum):
    """Where an assignment comes from."""

    DIRECT = "direct"
    CREATOR = "creator"
    TERRITORY = "territory"
    HANDOVER = "handover"


@dataclass(frozen=True)
class Assignment:
    """An assignment with its validity [valid_from, valid_to)."""

    org_id: UUID
    assignment_id: UUID
    customer_id: UUID
    member_id: UUID
    relation: Relation
    origin: Origin
    valid_from: datetime
    valid_to: datetime
    created_by: UUID
    changeset_id: UUID
    version: int = 1
    own_end: datetime | None = None
    """When it would end by itself, where another act made it stop before; else None, or `valid_to`."""

    took_main_until: datetime | None = None
    """Of one that made its member additional instead of main: until when they were to be main."""

    took_plans_after: datetime | None = None
    """Of one that made its member additional instead of a planned main: plans are what begins after this."""

    layer: UUID | None = None
    """Which others it was assigned over, if its own id does not tell: those of a lower one."""

    @property
    def lies_at(self) -> UUID:
        """Its place among the customer's assignments, in the order in which they were made."""
        return self.layer or self.assignment_id

    @property
    def would_end(self) -> datetime:
        """When it ends if nobody takes over before."""
        return self.own_end or self.valid_to

    def holds_at(self, instant: datetime) -> bool:
        """Tell whether it is valid at the instant: from the first, until before the last."""
        return self.valid_from <= instant < self.valid_to

    def may_hold_at(self, instant: datetime) -> bool:
        """Tell whether it is valid at the instant, or would be if nobody had taken over."""
        return self.valid_from <= instant < self.would_end

    def overlaps(self, valid_from: datetime, valid_to: datetime) -> bool:
        """Tell whether it is valid at any instant of [valid_from, valid_to); what never holds is not."""
        return max(self.valid_from, valid_from) < min(self.valid_to, valid_to)


def began_in_force(
    begins: datetime, valid_from: datetime, valid_until: datetime, now: datetime
) -> bool:
    """Tell whether a membership was in force when an assignment of its member began, or will be then.

    A past that began before its member was entered here is judged from when they were.
    """
    return valid_from <= max(begins, min(valid_from, now)) < valid_until


@dataclass(frozen=True)
class Changeset:
    """What one act changed: the assignments it wrote, and from when they count."""

    changeset_id: UUID
    effective_at: datetime
    assignments: tuple[Assignment, ...] = field(default=())
