"""An order of another system, to be imported (D27)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from bailiwick_orders.domain.order import Line, State


@dataclass(frozen=True)
class OrderRecord:
    """An order as its source has it.

    Without an author it is the importing member's. `names_credit` says that `credited_to` was given,
    if only as the house. What has been placed says when, by `placed_at` or `order_date`.
    """

    external_ref: str
    customer_id: UUID
    author_id: UUID | None
    placed_by: UUID | None
    credited_to: UUID | None
    names_credit: bool
    state: State
    order_date: date | None
    placed_at: datetime | None
    listed_at: datetime | None
    currency: str | None
    lines: tuple[Line, ...]
    priced_in: str
    note: str | None
    said: frozenset[str]
    """The fields that the source has something in; state and note stay without."""
    digest: str
    """Of all that it says (`kit.imports.imported_rows`)."""

    @property
    def members(self) -> set[UUID]:
        """Every member that it names."""
        return {one for one in (self.author_id, self.placed_by, self.credited_to) if one}

    @property
    def placer_id(self) -> UUID | None:
        """Who placed it: as said, else its author."""
        return self.placed_by or self.author_id
