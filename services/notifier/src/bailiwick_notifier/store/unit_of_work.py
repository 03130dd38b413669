"""One transaction over a member's preferences: with their audit they commit together, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_kit import crash_points
from bailiwick_kit.database.audit import note
from bailiwick_kit.database.engine import Database
from bailiwick_notifier.domain.preferences import Preferences
from bailiwick_notifier.store import tables
from bailiwick_notifier.store.mail_content import PREFERENCES
from bailiwick_notifier.store.rows import to_preferences


class Unit:
    """One transaction in one organization."""

    def __init__(self, connection: AsyncConnection, org_id: UUID) -> None:
        self._connection = connection
        self._org_id = org_id

    async def preferences(self, member_id: UUID) -> Preferences:
        """Return a member's preferences, kept from changing, whether or not there is a row yet."""
        await self._connection.exec_driver_sql(
            "SELECT pg_advisory_xact_lock(hashtext('notifier.preferences'), hashtext($1))",
            (str(member_id),),
        )
        bound = {"org_id": self._org_id, "member_id": member_id}
        return to_preferences(
            (await self._connection.execute(PREFERENCES, bound)).mappings().first()
        )

    async def save(self, member_id: UUID, preferences: Preferences, now: datetime) -> None:
        """Write them, with who said so."""
        row = {
            "new_orders": preferences.new_orders.value,
            "language": preferences.language,
            "version": preferences.version,
        }
        key = {"org_id": self._org_id, "member_id": member_id}
        statement = insert(tables.preferences).values(**key, **row)
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(tables.preferences.primary_key.columns), set_=row
            )
        )
        await note(
            self._connection,
            tables.audit,
            org_id=self._org_id,
            at=now,
            member_id=member_id,
            action="preferences.change",
            entity_id=member_id,
            details=row,
        )


class OpenUnit:
    """Opens transactions on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def __call__(self, org_id: UUID) -> AsyncIterator[Unit]:
        """Open a transaction; it commits on a clean exit."""
        async with self._database.writing(org_id) as connection:
            yield Unit(connection, org_id)
            crash_points.reach("action.before-commit")
        crash_points.reach("action.after-commit")
