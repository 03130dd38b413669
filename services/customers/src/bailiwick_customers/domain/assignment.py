"""Assignments: that a member is a customer's main or additional representative, and when.

An assignment is never deleted, it ends. One act is one changeset (D18): everything that it ends and
begins takes effect at the same instant.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from bailiwick_customers.domain.errors import AlreadyEnded, MainOverlap

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

    def holds_at(self, instant: datetime) -> bool:
        """Tell whether it is valid at the instant: from the first, until before the last."""
        return self.valid_from <= instant < self.valid_to

    def overlaps(self, valid_from: datetime, valid_to: datetime) -> bool:
        """Tell whether it is valid at any instant of [valid_from, valid_to); what never holds is not."""
        return max(self.valid_from, valid_from) < min(self.valid_to, valid_to)

    def ended_at(self, instant: datetime, changeset_id: UUID) -> Assignment:
        """Return it ended at the instant; one that has not begun by then never holds.

        Raises:
            AlreadyEnded: it is over by then, or was ended before it began.
        """
        if self.valid_to <= max(instant, self.valid_from):
            raise AlreadyEnded("Read the customer's assignments again.")
        return replace(
            self,
            valid_to=max(instant, self.valid_from),
            version=self.version + 1,
            changeset_id=changeset_id,
        )


@dataclass(frozen=True)
class Changeset:
    """What one act changed: the assignments it wrote, and from when they count."""

    changeset_id: UUID
    effective_at: datetime
    assignments: tuple[Assignment, ...] = field(default=())


def assign(new: Assignment, existing: Iterable[Assignment]) -> tuple[Assignment, ...]:
    """Return what must be written so that `new` holds beside the customer's existing assignments.

    The main representative of that instant is replaced; a member's own other relation to the customer
    ends too, because nobody is both main and additional.

    Raises:
        MainOverlap: another main is planned to begin within the new one's time.
    """
    written = [new]
    for old in existing:
        if not old.overlaps(new.valid_from, new.valid_to):
            continue
        rival = old.relation is Relation.MAIN and new.relation is Relation.MAIN
        if not rival and old.member_id != new.member_id:
            continue
        if rival and old.valid_from >= new.valid_from:
            raise MainOverlap(
                "End the planned assignment first, or choose an end before it begins."
            )
        written.append(old.ended_at(new.valid_from, new.changeset_id))
    return tuple(written)


def takes_from_somebody(written: Iterable[Assignment]) -> bool:
    """Tell whether an act ends somebody's assignment (D18: then it needs notice)."""
    return any(assignment.version > 1 for assignment in written)
