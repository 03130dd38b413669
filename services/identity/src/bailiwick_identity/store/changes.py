"""What the change feed tells of identity: every organization and member changed after a number (D1)."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa

from bailiwick_contracts.envelope import Sequenced
from bailiwick_identity.store.rows import (
    member_event,
    organization_event,
    to_member,
    to_organization,
)
from bailiwick_identity.store.tables import change_counters, members, organizations
from bailiwick_kit.database.engine import Database


class IdentityChanges:
    """Answers siblings; reads as the worker, because heads are asked for all organizations at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def head(self, org_id: UUID) -> int:
        """Return the number of the organization's last change, 0 where there is none."""
        statement = sa.select(change_counters.c.seq).where(change_counters.c.org_id == org_id)
        async with self._database.reading(org_id) as connection:
            return int((await connection.execute(statement)).scalar() or 0)

    async def heads(self) -> list[tuple[UUID, int]]:
        """Return every organization with the number of its last change."""
        async with self._database.reading(None) as connection:
            found = await connection.execute(
                sa.select(change_counters.c.org_id, change_counters.c.seq)
            )
            return [(row.org_id, row.seq) for row in found]

    async def after(self, org_id: UUID, seq: int, limit: int) -> tuple[list[Sequenced], bool]:
        """Return up to `limit` entities changed later, as they are now, in order; and whether all."""
        found: list[Sequenced] = []
        async with self._database.reading(org_id) as connection:
            rows = await connection.execute(_later(organizations, org_id, seq, limit))
            found += [
                organization_event(to_organization(row), row["seq"]) for row in rows.mappings()
            ]
            rows = await connection.execute(_later(members, org_id, seq, limit))
            found += [member_event(to_member(row), row["seq"]) for row in rows.mappings()]
        return sorted(found, key=lambda event: event.seq)[:limit], len(found) < limit


def _later(table: sa.Table, org_id: UUID, seq: int, limit: int) -> sa.Select[tuple[object, ...]]:
    return (
        sa.select(table)
        .where(table.c.org_id == org_id, table.c.seq > seq)
        .order_by(table.c.seq)
        .limit(limit)
    )
