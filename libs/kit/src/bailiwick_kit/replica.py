"""A local copy of what an authority owns: fed by its events, made whole through its door (D1).

Events only make it early. Every change carries a gap-free number per organization; a replica counts up
to where it has everything, pulls what it misses, and looks at the door on its own every few seconds, so
that neither a dead broker nor a lost event leaves it behind for long.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.envelope import Event, Sequenced
from bailiwick_kit.database import Database
from bailiwick_kit.door import MOST_CHANGES, Door
from bailiwick_kit.errors import Unavailable
from bailiwick_kit.wake import plain_dsn

log = structlog.get_logger(__name__)

LOOK_EVERY = 5.0
"""Seconds between looks at the authority's door when nothing else asks for one."""
PULL_CHANNEL = "bailiwick_pull"

Applier = Callable[[AsyncConnection, Event], Awaitable[None]]
"""Writes one event's state where its version is higher than what is there."""


def replica_positions_table(metadata: sa.MetaData) -> sa.Table:
    """Declare where each replica stands: everything up to and including `seq` has been applied."""
    return sa.Table(
        "replica_positions",
        metadata,
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )


@dataclass
class Replica:
    """A service's copy of one authority. `appliers` maps an event class to what writes it."""

    source: str
    database: Database
    positions: sa.Table
    appliers: Mapping[type[Event], Applier]
    door: Door
    _seen_heads: dict[UUID, int] = field(default_factory=dict)

    async def receive(self, connection: AsyncConnection, event: Event) -> None:
        """Apply one event in the open transaction, and count it if it is the next one."""
        assert isinstance(event, Sequenced)  # noqa: S101  # the catalogue holds it
        await self._queue_up(connection, event.org_id)
        if getattr(event, "chunks", 1) == 1:
            await self.appliers[type(event)](connection, event)
            await self._advance(connection, event.org_id, event.seq, only_from=event.seq - 1)

    async def repair(self, event: Event) -> None:
        """Pull what is missing before this event; without the door the event is applied all the same."""
        assert isinstance(event, Sequenced)  # noqa: S101
        if event.seq > await self.position(event.org_id) + 1 or getattr(event, "chunks", 1) > 1:
            with contextlib.suppress(Unavailable):
                await self.pull(event.org_id)

    async def position(self, org_id: UUID) -> int:
        """Return up to which change everything has been applied."""
        table = self.positions
        async with self.database.reading(org_id) as connection:
            found = await connection.execute(
                sa.select(table.c.seq).where(
                    table.c.org_id == org_id, table.c.source == self.source
                )
            )
            return int(found.scalar() or 0)

    async def pull(self, org_id: UUID) -> None:
        """Ask the door for everything after our position and apply it.

        Raises:
            Unavailable: the authority does not answer.
        """
        types = {event.type: event for event in self.appliers}
        complete = False
        while not complete:
            after = await self.position(org_id)
            answer = await self.door.changes(org_id, after, MOST_CHANGES)
            events = [
                types[change["type"]].model_validate(change["data"])
                for change in answer.changes
                if change["type"] in types
            ]
            async with self.database.writing(org_id) as connection:
                await self._queue_up(connection, org_id)
                for event in events:
                    await self.appliers[type(event)](connection, event)
                last = (
                    answer.head
                    if answer.complete
                    else max(change["seq"] for change in answer.changes)
                )
                await self._advance(connection, org_id, last)
            complete = answer.complete

    async def keep_up(self) -> None:
        """Pull when asked by `ask_to_pull`, and look at the door regularly, until cancelled."""
        while True:
            try:
                await self._listen()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("replica.interrupted", source=self.source, error=type(error).__name__)
            except Exception:  # a replica that stops is an outage: report and go on
                log.exception("replica.failed", source=self.source)
            await asyncio.sleep(1)

    async def look(self) -> None:
        """Pull every organization whose head has moved since we last looked."""
        for org_id, head in await self.door.heads():
            if self._seen_heads.get(org_id) == head and await self.position(org_id) >= head:
                continue
            if await self.position(org_id) < head:
                await self.pull(org_id)
            self._seen_heads[org_id] = head

    async def _listen(self) -> None:
        asked: asyncio.Queue[str] = asyncio.Queue()
        dsn = plain_dsn(self.database.engine.url.render_as_string(hide_password=False))
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            await connection.add_listener(PULL_CHANNEL, lambda *args: asked.put_nowait(args[3]))
            while True:
                with contextlib.suppress(Unavailable):
                    await self.look()
                deadline = asyncio.get_running_loop().time() + LOOK_EVERY
                await self._answer_until(asked, deadline)
                if connection.is_closed():
                    return
        finally:
            with contextlib.suppress(Exception):
                await connection.close(timeout=1)

    async def _answer_until(self, asked: asyncio.Queue[str], deadline: float) -> None:
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    source, _, org_id = (await asked.get()).partition(":")
            except TimeoutError:
                return
            if source == self.source:
                with contextlib.suppress(Unavailable):
                    await self.pull(UUID(org_id))

    async def _queue_up(self, connection: AsyncConnection, org_id: UUID) -> None:
        """Apply one thing at a time per authority and organization, whoever brings it."""
        await connection.exec_driver_sql(
            "SELECT pg_advisory_xact_lock(hashtext($1), hashtext($2))", (self.source, str(org_id))
        )

    async def _advance(
        self, connection: AsyncConnection, org_id: UUID, seq: int, *, only_from: int | None = None
    ) -> None:
        """Move the position forward; with `only_from`, only where that is exactly where we stand."""
        table = self.positions
        if only_from:
            await connection.execute(
                table.update()
                .where(
                    table.c.org_id == org_id,
                    table.c.source == self.source,
                    table.c.seq == only_from,
                )
                .values(seq=seq)
            )
            return
        statement = insert(table).values(org_id=org_id, source=self.source, seq=seq)
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=[table.c.org_id, table.c.source],
                set_={"seq": seq},
                where=table.c.seq < seq,
            )
        )


async def ask_to_pull(database: Database, source: str, org_id: UUID) -> None:
    """Ask the worker, wherever it runs, to pull an organization from an authority now."""
    async with database.reading(None) as connection:
        await connection.exec_driver_sql(
            "SELECT pg_notify($1, $2)", (PULL_CHANNEL, f"{source}:{org_id}")
        )
