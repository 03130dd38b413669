"""Connections to a service's PostgreSQL: one organization at a time, none left by a cancelled request.

Reads run in AUTOCOMMIT with the organization set for the session and cleared on return; writes are one
transaction with the organization set locally. Row-level security compares it with each row's `org_id`
as a backstop (D12). Transaction pooling between a service and its database is therefore ruled out.

A statement that is sent again keeps its plan, or is planned for the values that it gets this time: which of
the two is set together with the organization, and where it matters by `plan_for_values` (ADR 18).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, Self, TypeAlias
from uuid import UUID
from weakref import WeakSet

import asyncpg
import sqlalchemy as sa
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bailiwick_kit.errors import Refusal
from bailiwick_kit.telemetry import metrics
from bailiwick_kit.timeouts import lift
from bailiwick_kit.transient_errors import is_outage

NAMING = {
    "ix": "%(table_name)s_%(column_0_N_name)s",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "pk": "%(table_name)s_pkey",
}
"""What keys and indexes are called in every service: a migration that drops one knows its name."""

_SETTINGS = {
    "idle_in_transaction_session_timeout": "15s",
    "jit": "off",
}
Plans: TypeAlias = Literal["auto", "force_generic_plan", "force_custom_plan"]
"""PostgreSQL's `plan_cache_mode`: as it sees fit after five tries, one for all values, or one for each."""

_FAILED = "bailiwick.failed"
_PLANS = "bailiwick.plans-for-values"
_GOODBYE = 1.0
"""Seconds that the server is given to answer, when all connections are closed."""


class Database:
    """A pool of connections under one database role; as a context manager it closes them at the end.

    `name` shows in `pg_stat_activity`. `pool` is the number of connections kept and the most there are:
    a request that finds none within `patience` seconds is answered 503 rather than queued for ever (F9).
    A statement has `deadline` seconds; only an operator's command, which nobody waits for, has more.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "bailiwick",
        pool: int = 10,
        patience: float = 5.0,
        deadline: int = 10,
    ) -> None:
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool,
            max_overflow=0,
            hide_parameters=True,  # an error that is logged holds no personal data
            pool_timeout=patience,
            connect_args={
                "timeout": 5,
                "command_timeout": deadline + 5,
                "server_settings": {
                    **_SETTINGS,
                    "statement_timeout": f"{deadline}s",
                    "application_name": name,
                },
            },
        )
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._snapshot = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._after_commit: list[Callable[[], None]] = []
        self._returning: set[asyncio.Task[None]] = set()
        self._open: WeakSet[asyncpg.Connection] = WeakSet()
        self._name = name
        self._awaiting = 0
        metrics.DATABASE_MOST.set(pool, name)
        metrics.DATABASE_IN_USE.set(self._in_use, name)
        metrics.DATABASE_AWAITED.set(lambda: self._awaiting, name)
        sa.event.listen(self.engine.sync_engine, "connect", self._keep)
        sa.event.listen(self.engine.sync_engine, "handle_error", _note_failure)
        sa.event.listen(self.engine.sync_engine, "rollback_savepoint", _forget_failure)

    async def __aenter__(self) -> Self:
        """Connect when first asked for a connection, not now."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self.close()

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Have the callback called after each committed write; it must not block."""
        self._after_commit.append(callback)

    @asynccontextmanager
    async def reading(
        self, org_id: UUID | None, *, plans: Plans = "auto"
    ) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for reads in one organization, without a transaction around them.

        None is for the few tables that belong to no organization. `plans` holds for this loan alone.
        """
        connection = await self._borrow(self._autocommit, org_id, local=False, plans=plans)
        sound = False
        try:
            try:
                yield connection
            except Refusal:
                # An answer, not an accident: the connection is as good as before.
                with contextlib.suppress(Exception):
                    await _set_organization(connection, None, local=False)
                    sound = True
                raise
            await _set_organization(connection, None, local=False)
            sound = True
        finally:
            await self._give_back(connection, sound=sound)

    @asynccontextmanager
    async def snapshot(self, org_id: UUID) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for reads in one organization that all see one instant, however many.

        It is a transaction that cannot write; what a cursor has yet to read is there until its end.
        """
        connection = await self._borrow(self._snapshot, org_id, local=True)
        sound = False
        try:
            try:
                yield connection
            except Refusal:
                with contextlib.suppress(Exception):
                    await connection.rollback()
                    sound = True
                raise
            await connection.rollback()
            sound = True
        finally:
            await self._give_back(connection, sound=sound)

    @asynccontextmanager
    async def writing(self, org_id: UUID | None) -> AsyncIterator[AsyncConnection]:
        """Open one transaction in one organization; commits on a clean exit, else leaves nothing.

        Raises:
            RuntimeError: a statement had failed and was passed over. PostgreSQL would answer COMMIT with
                a silent ROLLBACK; try what may fail within a savepoint (`begin_nested`).
        """
        connection = await self._borrow(self.engine, org_id, local=True)
        sound = False
        try:
            try:
                yield connection
            except Refusal:
                with contextlib.suppress(Exception):
                    await connection.rollback()
                    sound = True
                raise
            if _FAILED in connection.info:
                msg = "a statement failed and was passed over: nothing can be committed"
                raise RuntimeError(msg)
            await connection.commit()
            lift()
            sound = True
            for callback in self._after_commit:
                callback()
        finally:
            await self._give_back(connection, sound=sound)

    async def close(self) -> None:
        """Close all connections, at once and within a second: those that a frozen server keeps are cut.

        The pool would ask one after the other, and wait with each for as long as a statement may take.
        """
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    if self._returning:
                        await asyncio.wait(self._returning)
                    closing = [connection.close() for connection in self._open]
                    await asyncio.gather(*closing, return_exceptions=True)
        finally:
            for connection in list(self._open):
                if not connection.is_closed():
                    connection.terminate()
        await self.engine.dispose()
        for reading in (metrics.DATABASE_MOST, metrics.DATABASE_IN_USE, metrics.DATABASE_AWAITED):
            reading.forget(self._name)

    def _keep(self, connection: Any, _record: object) -> None:
        self._open.add(connection.driver_connection)

    def _in_use(self) -> int:
        pool = self.engine.pool
        return pool.checkedout() if isinstance(pool, sa.QueuePool) else 0

    async def _borrow(
        self, engine: AsyncEngine, org_id: UUID | None, *, local: bool, plans: Plans = "auto"
    ) -> AsyncConnection:
        """Lend a connection with the organization set, which also tells whether it still lives.

        One that died in the pool (the server was restarted) is replaced once, before anybody notices.
        """
        for is_last in (False, True):
            self._awaiting += 1
            try:
                connection = await engine.connect()
            finally:
                self._awaiting -= 1
            sound = False
            try:
                for note in (_FAILED, _PLANS):
                    connection.info.pop(note, None)
                await _set_organization(connection, org_id, local=local, plans=plans)
                sound = True
            except Exception as error:
                if is_last or not is_outage(error):
                    raise
            finally:
                if not sound:
                    await self._give_back(connection, sound=False)
            if sound:
                return connection
        raise AssertionError

    async def _give_back(self, connection: AsyncConnection, *, sound: bool) -> None:
        """Return a connection to the pool, or discard it: nobody may inherit an unsound session.

        It goes on to the end even where the request is cancelled once more meanwhile.
        """
        task = asyncio.create_task(_end(connection, sound=sound))
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)
        # What was committed, or refused, is so, whatever becomes of the connection.
        with contextlib.suppress(Exception):
            await asyncio.shield(task)


async def _end(connection: AsyncConnection, *, sound: bool) -> None:
    try:
        if not sound:
            await connection.invalidate()
    finally:
        await connection.close()


async def plan_for_values(connection: AsyncConnection) -> None:
    """Have every further statement of this loan planned for the values that it gets.

    For statements of which one plan cannot serve all values: filters, counts, sums. It costs a round trip
    the first time, so what is read most often goes without: a record, the first page of a whole list.
    """
    if _PLANS in connection.info:
        return
    await connection.exec_driver_sql(
        "SELECT set_config('plan_cache_mode', 'force_custom_plan', false)"
    )
    connection.info[_PLANS] = True


async def _set_organization(
    connection: AsyncConnection, org_id: UUID | None, *, local: bool, plans: Plans = "auto"
) -> None:
    # Together: how to plan is set on every loan, so that nobody inherits it, and costs no round trip.
    await connection.exec_driver_sql(
        "SELECT set_config('app.org', $1, $2), set_config('plan_cache_mode', $3, $2)",
        ("" if org_id is None else str(org_id), local, plans),
    )


def _note_failure(context: ExceptionContext) -> None:
    # A connection that the engine tries before it is in the pool has no notes, and needs none.
    with contextlib.suppress(NotImplementedError):
        if context.connection is not None:
            context.connection.info[_FAILED] = True


def _forget_failure(connection: Connection, _name: str, _context: object) -> None:
    connection.info.pop(_FAILED, None)
