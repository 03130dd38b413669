"""Who represents a customer, when, and how a member stands to it at an instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bailiwick_access.relation import relation_facts

MAIN = "main"
ADDITIONAL = "additional"


@dataclass(frozen=True)
class Assignment:
    """That a member is main or additional representative within [valid_from, valid_to)."""

    member_id: UUID
    relation: str
    valid_from: datetime
    valid_to: datetime
    seq: int

    def holds_at(self, instant: datetime) -> bool:
        """Tell whether it is valid at the instant."""
        return self.valid_from <= instant < self.valid_to


@dataclass(frozen=True)
class Representation:
    """All assignments that a customer ever had, seen from one instant."""

    assignments: tuple[Assignment, ...]
    at: datetime

    @property
    def seq(self) -> int:
        """The authority's number of the last change to them; 0 where there never was one (D17)."""
        return max((one.seq for one in self.assignments), default=0)

    @property
    def main_id(self) -> UUID | None:
        """The main representative (V1), whether they count or not."""
        return next((one.member_id for one in self._current(MAIN)), None)

    @property
    def additional_ids(self) -> tuple[UUID, ...]:
        """The additional representatives (L8)."""
        return tuple(dict.fromkeys(one.member_id for one in self._current(ADDITIONAL)))

    def is_representative(self, member_id: UUID) -> bool:
        """Tell whether the member is main or additional, whether they count or not."""
        return any(one.member_id == member_id and one.holds_at(self.at) for one in self.assignments)

    def seen_from(self, instant: datetime) -> Representation:
        """Return the same assignments at another instant."""
        return Representation(self.assignments, instant)

    def facts(self, member_id: UUID) -> dict[str, object]:
        """Return how the member stands to the customer, as policy is told (D10)."""
        mine = (one for one in self.assignments if one.member_id == member_id)
        return relation_facts(mine, self.at)

    def _current(self, relation: str) -> list[Assignment]:
        return [
            one for one in self.assignments if one.relation == relation and one.holds_at(self.at)
        ]
