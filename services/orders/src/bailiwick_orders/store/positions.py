"""How far this service's replicas are, for a caller who has just changed something elsewhere (D6)."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa

from bailiwick_kit.database import Database
from bailiwick_orders.store.tables import assignments, customers, members, organizations

_org_id, _entity_id = (
    sa.bindparam("org_id", type_=sa.Uuid),
    sa.bindparam("entity_id", type_=sa.Uuid),
)


def _version(table: sa.Table, id_name: str) -> sa.Select[int]:
    return sa.select(table.c.version).where(
        table.c.org_id == _org_id, table.c[id_name] == _entity_id
    )


_IDENTITY = sa.union_all(_version(members, "member_id"), _version(organizations, "org_id"))
_CUSTOMERS = sa.union_all(
    _version(customers, "customer_id"), _version(assignments, "assignment_id")
)


class ReplicaVersions:
    """Looks up the version that a replica has of an entity."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def identity(self, org_id: UUID, entity_id: UUID) -> int | None:
        """Return the version of a member or of the organization itself."""
        return await self._one(_IDENTITY, org_id, entity_id)

    async def customers(self, org_id: UUID, entity_id: UUID) -> int | None:
        """Return the version of a customer or of an assignment."""
        return await self._one(_CUSTOMERS, org_id, entity_id)

    async def _one(
        self, statement: sa.CompoundSelect[int], org_id: UUID, entity_id: UUID
    ) -> int | None:
        async with self._database.reading(org_id) as connection:
            found = await connection.execute(statement, {"org_id": org_id, "entity_id": entity_id})
            return found.scalar()
