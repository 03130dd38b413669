"""Connections to a service's PostgreSQL: one organization at a time, none left by a cancelled request.

Reads run in AUTOCOMMIT with the organization set for the session and cleared on return; writes are one
transaction with the organization set locally. Row-level security compares it with each row's `org_id`
as a backstop (D12). Transaction pooling between a service and its database is therefore ruled out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bailiwick_kit.errors import Refusal

_SETTINGS = {
    "application_name": "bailiwick",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "15s",
    "jit": "off",
}


class Database:
    """A pool of connections under one database role.

    `name` shows in `pg_stat_activity`. `pool` is the number of connections kept and the most there are:
    a request that finds none within five seconds is answered 503 rather than queued for ever (F9).
    """

    def __init__(self, url: str, *, name: str = "bailiwick", pool: int = 10) -> None:
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool,
            max_overflow=0,
            hide_parameters=True,  # an error that is logged holds no personal data
            pool_timeout=5,
            connect_args={
                "timeout": 5,
                "command_timeout": 15,
                "server_settings": {**_SETTINGS, "application_name": name},
            },
        )
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._after_commit: list[Callable[[], None]] = []

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Have the callback called after each committed write; it must not block."""
        self._after_commit.append(callback)

    @asynccontextmanager
    async def reading(self, org_id: UUID | None) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for reads in one organization, without a transaction around them.

        None is for the few tables that belong to no organization.
        """
        connection = await self._borrow(org_id)
        try:
            yield connection
            await _set_organization(connection, None, local=False)
        except Refusal:
            # An answer, not an accident: the connection is as good as before.
            await _set_organization(connection, None, local=False)
            raise
        except BaseException:
            # Cancelled or broken in the middle of something: nobody may inherit this session.
            await asyncio.shield(connection.invalidate())
            raise
        finally:
            await asyncio.shield(connection.close())

    @asynccontextmanager
    async def writing(self, org_id: UUID | None) -> AsyncIterator[AsyncConnection]:
        """Open one transaction in one organization; commits on a clean exit, else leaves nothing."""
        connection = await self.engine.connect()
        try:
            transaction = await connection.begin()
            if org_id is not None:
                await _set_organization(connection, org_id, local=True)
            yield connection
            await transaction.commit()
        except Refusal:
            await transaction.rollback()
            raise
        except BaseException:
            await asyncio.shield(connection.invalidate())
            raise
        finally:
            await asyncio.shield(connection.close())
        for callback in self._after_commit:
            callback()

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()

    async def _borrow(self, org_id: UUID | None) -> AsyncConnection:
        """Lend a live connection: setting the organization also tells whether the server is still there."""
        connection = await self._autocommit.connect()
        try:
            await _set_organization(connection, org_id, local=False)
        except DBAPIError as error:
            await connection.close()
            if not error.connection_invalidated:
                raise
            connection = await self._autocommit.connect()
            await _set_organization(connection, org_id, local=False)
        except BaseException:
            await asyncio.shield(connection.invalidate())
            await asyncio.shield(connection.close())
            raise
        return connection


async def _set_organization(
    connection: AsyncConnection, org_id: UUID | None, *, local: bool
) -> None:
    await connection.exec_driver_sql(
        "SELECT set_config('app.org', $1, $2)", ("" if org_id is None else str(org_id), local)
    )
