"""Keeps the replicas of organizations and members: what is older than what is there is ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.envelope import Event
from bailiwick_contracts.identity import MemberChanged, OrganizationChanged
from bailiwick_kit.replication.replica import Applier


async def upsert(
    connection: AsyncConnection, table: sa.Table, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Write each row, all with the same columns, unless a higher version is there.

    The same version is written again: it says the same, and mends a row that was damaged.
    """
    if not rows:
        return
    keys = list(table.primary_key.columns)
    statement = insert(table)
    changed = {
        name: statement.excluded[name] for name in rows[0] if name not in {key.name for key in keys}
    }
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=keys,
            set_=changed,
            where=table.c.version <= statement.excluded.version,
        ),
        rows,
    )


@dataclass(frozen=True)
class IdentityReplica:
    """What a service remembers of identity."""

    organizations: sa.Table
    members: sa.Table

    def appliers(self) -> Mapping[type[Event], Applier]:
        """Return what writes each of identity's events."""
        return {OrganizationChanged: self._organization, MemberChanged: self._member}

    async def _organization(
        self, connection: AsyncConnection, events: Sequence[OrganizationChanged]
    ) -> None:
        await upsert(connection, self.organizations, [one.model_dump() for one in events])

    async def _member(self, connection: AsyncConnection, events: Sequence[MemberChanged]) -> None:
        await upsert(connection, self.members, [one.model_dump() for one in events])
