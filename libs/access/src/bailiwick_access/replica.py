"""Keeps the replicas of organizations and members: a higher version replaces a lower one, the rest is old."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.envelope import Event
from bailiwick_contracts.identity import MemberChanged, OrganizationChanged
from bailiwick_kit.replica import Applier


async def upsert(connection: AsyncConnection, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Write the row unless the same or a higher version is there; tell whether it was written."""
    keys = list(table.primary_key.columns)
    statement = insert(table).values(**row)
    changed = {
        name: statement.excluded[name] for name in row if name not in {key.name for key in keys}
    }
    written = await connection.execute(
        statement.on_conflict_do_update(
            index_elements=keys,
            set_=changed,
            where=table.c.version < statement.excluded.version,
        ).returning(table.c.version)
    )
    return written.first() is not None


@dataclass(frozen=True)
class IdentityReplica:
    """What a service remembers of identity."""

    organizations: sa.Table
    members: sa.Table

    def appliers(self) -> Mapping[type[Event], Applier]:
        """Return what writes each of identity's events."""
        return {OrganizationChanged: self._organization, MemberChanged: self._member}

    async def _organization(self, connection: AsyncConnection, event: Event) -> None:
        await upsert(connection, self.organizations, event.model_dump())

    async def _member(self, connection: AsyncConnection, event: Event) -> None:
        await upsert(connection, self.members, event.model_dump())
