"""How far this service's replicas are, for a caller who has just changed something elsewhere (D6)."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa

from bailiwick_customers.store.tables import members, organizations
from bailiwick_kit.database import Database


class ReplicaVersions:
    """Looks up the version that a replica has of an entity."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def identity(self, org_id: UUID, entity_id: UUID) -> int | None:
        """Return the version of a member or of the organization itself."""
        statement = sa.union_all(
            sa.select(members.c.version).where(
                members.c.org_id == org_id, members.c.member_id == entity_id
            ),
            sa.select(organizations.c.version).where(
                organizations.c.org_id == org_id, organizations.c.org_id == entity_id
            ),
        )
        async with self._database.reading(org_id) as connection:
            return (await connection.execute(statement)).scalar()
