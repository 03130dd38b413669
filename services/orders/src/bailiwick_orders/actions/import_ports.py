"""What importing needs of the store: many orders a statement, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from bailiwick_orders.actions.ports import Change, FoundCustomer
from bailiwick_orders.domain.order import Order


@dataclass(frozen=True)
class Imported:
    """What became of one record: `created` is false where an earlier import had made it."""

    order_id: UUID
    created: bool


class ImportUnit(Protocol):
    """One transaction over a batch of orders; a second one of the organization waits for it."""

    async def known(self, source: str, external_refs: Iterable[str]) -> Mapping[str, UUID]:
        """Return the orders that imports from this source have made."""
        ...

    async def customers(self, customer_ids: Iterable[UUID]) -> Mapping[UUID, FoundCustomer]:
        """Return those of the customers that there are, kept from being reassigned."""
        ...

    async def subjects(self, member_ids: Iterable[UUID]) -> Mapping[UUID, Mapping[str, object]]:
        """Return what policy is told of each member that there is."""
        ...

    async def taken(self, numbers: Iterable[str]) -> set[str]:
        """Return those of the numbers that orders of the organization have."""
        ...

    async def add(self, made: Sequence[tuple[Order, Change]]) -> None:
        """Write the orders with their visibility and audit, and tell the bus."""
        ...


class OpenImport(Protocol):
    """Opens a transaction for a batch."""

    def __call__(self, org_id: UUID, now: datetime) -> AbstractAsyncContextManager[ImportUnit]:
        """Open it; commits on a clean exit."""
        ...
