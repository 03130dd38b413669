"""That an order came in, and who is to be told of it: decided once, by who represented its customer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Notice:
    """That an order came in; its people are those that orders knew when it committed (D17)."""

    org_id: UUID
    event_id: UUID
    placed_by: UUID | None
    main_id: UUID | None
    additional_ids: tuple[UUID, ...]
    assignment_seq: int
    taken_at: datetime
    trace_parent: str | None = None
    """Of what made it come in, which telling of it goes on from."""

    @property
    def representatives(self) -> frozenset[UUID]:
        """Everybody who represented the customer."""
        main = () if self.main_id is None else (self.main_id,)
        return frozenset((*main, *self.additional_ids))

    def has_active_main(self, active: Collection[UUID]) -> bool:
        """Tell whether a main represents the customer; one who is not active counts as none."""
        return self.main_id in active

    def recipients(
        self,
        *,
        active: Collection[UUID],
        notify_additional: bool,
        managers: Collection[UUID],
    ) -> tuple[UUID, ...]:
        """Return who is told (domain §3): never who placed the order.

        The main; additionals where the organization wants it; `managers` only where no active main
        represents the customer.
        """
        told = [self.main_id] if self.has_active_main(active) else list(managers)
        if notify_additional:
            told += [one for one in self.additional_ids if one in active]
        once = dict.fromkeys(one for one in told if one is not None)
        return tuple(one for one in once if one != self.placed_by)
