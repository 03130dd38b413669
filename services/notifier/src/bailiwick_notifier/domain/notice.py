"""That an order came in, and who is to be told of it: by who represents its customer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Notice:
    """That an order came in.

    Its representatives are those that orders knew when it committed (D17). Where everybody who was told of
    it was told in vain, they are the customer's present ones.
    """

    org_id: UUID
    event_id: UUID
    customer_id: UUID
    placed_by: UUID | None
    main_id: UUID | None
    additional_ids: tuple[UUID, ...]
    assignment_seq: int
    taken_at: datetime
    trace_parent: str | None = None
    """Of what made it come in, which telling of it goes on from."""
    told: frozenset[UUID] = frozenset()
    """Who has a delivery of it already. If there are any, all of these ended in vain."""

    @property
    def representatives(self) -> frozenset[UUID]:
        """Everybody who represents the customer."""
        main = () if self.main_id is None else (self.main_id,)
        return frozenset((*main, *self.additional_ids))

    def represented_by(self, main_id: UUID | None, additional_ids: Collection[UUID]) -> Notice:
        """Return the same notice with other representatives."""
        return replace(self, main_id=main_id, additional_ids=tuple(additional_ids))

    def needs_managers(self, counting: Collection[UUID]) -> bool:
        """Tell whether no main represents the customer, or one who was told in vain.

        `counting` are the members whose assignments count; one of anybody else is none (domain §3).
        """
        return self.main_id not in counting or self.main_id in self.told

    def recipients(
        self,
        *,
        counting: Collection[UUID],
        notify_additional: bool,
        managers: Collection[UUID],
    ) -> tuple[UUID, ...]:
        """Return who is told (domain §3): never who placed the order, and nobody twice.

        The main; additionals where the organization wants it; `managers` only where they are needed.
        """
        chosen = list(managers) if self.needs_managers(counting) else [self.main_id]
        if notify_additional:
            chosen += [one for one in self.additional_ids if one in counting]
        once = dict.fromkeys(one for one in chosen if one is not None)
        return tuple(one for one in once if one != self.placed_by and one not in self.told)
