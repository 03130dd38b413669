"""Keeps the replicas of organizations and members: what is older than what is there is ignored."""

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


async def upsert(connection: AsyncConnection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Write the row unless a higher version is there.

    The same version is written again: it says the same, and mends a row that was damaged.
    """
    keys = list(table.primary_key.columns)
    statement = insert(table).values(**row)
    changed = {
        name: statement.excluded[name] for name in row if name not in {key.name for key in keys}
    }
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=keys,
            set_=changed,
            where=table.c.version <= statement.excluded.version,
        )
    )


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
