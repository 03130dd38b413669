"""What importing needs of the store: many records a statement, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from bailiwick_customers.domain.assignment import Assignment, Changeset
from bailiwick_customers.domain.customer import Customer
from bailiwick_kit.imports.imported_rows import Outcome


@dataclass(frozen=True)
class Imported:
    """What became of one record."""

    record_id: UUID
    outcome: Outcome


@dataclass(frozen=True)
class Membership:
    """What policy is told of a member, but for when: that is [valid_from, valid_until)."""

    subject: Mapping[str, object]
    valid_from: datetime
    valid_until: datetime


class ImportUnit(Protocol):
    """One transaction over a batch of records."""

    async def known(self, source: str, external_refs: Iterable[str]) -> Mapping[str, UUID]:
        """Return the customers that imports from this source have made, kept from changing."""
        ...

    async def digests(self, source: str, kind: str, refs: Iterable[str]) -> Mapping[str, str]:
        """Return what those of a source's rows said that were taken before."""
        ...

    async def keep(self, source: str, kind: str, digests: Mapping[str, str]) -> None:
        """Keep what rows said that were taken."""
        ...

    async def present(self, customer_ids: Iterable[UUID]) -> Mapping[UUID, Customer]:
        """Return customers as they stand."""
        ...

    async def save(self, customers: Sequence[Customer]) -> None:
        """Write changed customers and tell the bus."""
        ...

    async def taken(self, codes: Iterable[str]) -> set[str]:
        """Return those of the codes that customers of the organization have."""
        ...

    async def add(self, customers: Sequence[Customer]) -> None:
        """Write new customers and tell the bus."""
        ...

    async def assignments(self, customer_ids: Iterable[UUID]) -> Mapping[UUID, list[Assignment]]:
        """Return all assignments of each customer, ended ones included."""
        ...

    async def turn(self) -> datetime:
        """Wait until no other change of the organization is being numbered; return the instant then."""
        ...

    async def write(self, changeset: Changeset) -> None:
        """Write assignments, with the visibility that follows, and tell the bus."""
        ...

    async def memberships(self, member_ids: Iterable[UUID]) -> Mapping[UUID, Membership]:
        """Return the memberships of those that there are."""
        ...

    async def note(
        self, action: str, member_id: UUID, entity_ids: Iterable[UUID], source: str
    ) -> None:
        """Add a row for each record to the audit trail."""
        ...


class OpenImport(Protocol):
    """Opens a transaction for a batch."""

    def __call__(self, org_id: UUID) -> AbstractAsyncContextManager[ImportUnit]:
        """Open it; commits on a clean exit."""
        ...
