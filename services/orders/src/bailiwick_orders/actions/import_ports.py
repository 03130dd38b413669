"""What importing needs of the store: many orders a statement, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from bailiwick_kit.imports.imported_rows import Outcome
from bailiwick_orders.actions.ports import Change, FoundCustomer
from bailiwick_orders.domain.order import Line, Order, State


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


@dataclass(frozen=True)
class Imported:
    """What became of one record."""

    order_id: UUID
    outcome: Outcome


class ImportUnit(Protocol):
    """One transaction over a batch of orders; a second one of the organization waits for it."""

    async def known(self, source: str, external_refs: Iterable[str]) -> Mapping[str, UUID]:
        """Return the orders that imports from this source have made."""
        ...

    async def digests(self, source: str, refs: Iterable[str]) -> Mapping[str, str]:
        """Return what those of a source's rows said that were taken before."""
        ...

    async def keep(self, source: str, digests: Mapping[str, str]) -> None:
        """Keep what rows said that were taken."""
        ...

    async def present(self, order_ids: Iterable[UUID]) -> Mapping[UUID, Order]:
        """Return orders as they stand, kept from changing."""
        ...

    async def save(self, changed: Sequence[tuple[Order, Order, Change]]) -> None:
        """Write changed orders, each after the one that it was, and tell the bus."""
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
