"""A local copy of what an authority owns: fed by its events, made whole through its door (D1).

Events only make it early. Every change carries a gap-free number per organization; a replica counts up
to where it has everything, pulls what it misses, and looks at the door on its own every few seconds, so
that neither a dead broker nor a lost event leaves it behind for long.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.envelope import Event, Sequenced
from bailiwick_kit import metrics
from bailiwick_kit.database import Database
from bailiwick_kit.door import MOST_CHANGES, Changes, Door
from bailiwick_kit.errors import Unavailable
from bailiwick_kit.outages import is_outage
from bailiwick_kit.outgoing import unavailable
from bailiwick_kit.wake import plain_dsn

log = structlog.get_logger(__name__)

LOOK_EVERY = 5.0
"""Seconds between looks at the authority's door when nothing else asks for one."""
REPAIR_DEADLINE = 10.0
"""Seconds that an event waits for what is missing before it, and then is applied all the same."""
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
    look_every: float = LOOK_EVERY
    _shut_until: float = 0.0

    async def receive(self, connection: AsyncConnection, event: Event) -> None:
        """Apply one event in the open transaction, and count it if it is the next one.

        A changeset in chunks is left to the door, which tells it whole.
        """
        assert isinstance(event, Sequenced)  # noqa: S101  # the catalogue holds it
        await self._queue_up(connection, event.org_id)
        if getattr(event, "chunks", 1) == 1:
            await self.appliers[type(event)](connection, event)
            await self._advance(connection, event.org_id, event.seq, only_from=event.seq - 1)

    async def repair(self, event: Event) -> None:
        """Pull what is missing before this event; without the door the event is applied all the same.

        A door that did not answer is let be for a while: a queue must not crawl because of it.
        """
        assert isinstance(event, Sequenced)  # noqa: S101
        is_whole = getattr(event, "chunks", 1) == 1
        clock = asyncio.get_running_loop()
        if clock.time() < self._shut_until:
            return
        if is_whole and event.seq <= await self.position(event.org_id) + 1:
            return
        try:
            async with asyncio.timeout(REPAIR_DEADLINE):
                await self.pull(event.org_id)
        except Exception as error:  # noqa: BLE001 - `keep_up` goes on trying, and reports
            log.warning("replica.not_repaired", source=self.source, error=type(error).__name__)
            self._shut_until = clock.time() + self.look_every

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
        """Ask the door for everything after our position and apply it, a page a transaction.

        Raises:
            Unavailable: the authority does not answer, or not as it should.
        """
        while not await self._pull_page(org_id):
            pass

    async def _pull_page(self, org_id: UUID) -> bool:
        """Pull as much as the door tells at once; say whether that was all."""
        answer = await self.door.changes(org_id, await self.position(org_id), MOST_CHANGES)
        if not answer.complete and not answer.changes:
            raise unavailable("more is said to come, and nothing comes")
        await self._apply(org_id, answer)
        return answer.complete

    async def read_all(self, org_id: UUID, take: Callable[[Event], None]) -> int:
        """Have `take` take all that the door tells, and return up to which change that is everything.

        Nothing is written. What changes meanwhile is told again, as it is then: hence until the door has
        nothing more to tell, for what changes while a page is put together is in no page before that.

        Raises:
            Unavailable: the authority does not answer, or not as it should.
        """
        after = 0
        while True:
            answer = await self.door.changes(org_id, after, MOST_CHANGES)
            for event in self._events(answer):
                take(event)
            if answer.complete and not answer.changes and answer.head == after:
                return after
            if not answer.complete and not answer.changes:
                raise unavailable("more is said to come, and nothing comes")
            after = _last(answer)

    @asynccontextmanager
    async def alone(self, org_id: UUID) -> AsyncIterator[AsyncConnection]:
        """Open a transaction in which nobody else applies what this authority tells of an organization."""
        async with self.database.writing(org_id) as connection:
            await self._queue_up(connection, org_id)
            yield connection

    async def stand_at(self, connection: AsyncConnection, org_id: UUID, seq: int) -> None:
        """Say that everything up to a change is here, wherever we stood before.

        Standing too low is harmless: what follows is pulled once more.
        """
        statement = insert(self.positions).values(org_id=org_id, source=self.source, seq=seq)
        keys = list(self.positions.primary_key.columns)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=keys, set_={"seq": seq})
        )

    async def _apply(self, org_id: UUID, answer: Changes) -> None:
        events = list(self._events(answer))
        async with self.alone(org_id) as connection:
            for event in events:
                await self.appliers[type(event)](connection, event)
            await self._advance(connection, org_id, _last(answer))

    def _events(self, answer: Changes) -> Iterator[Event]:
        types = {event.type: event for event in self.appliers}
        for change in answer.changes:
            if change["type"] in types:
                yield types[change["type"]].model_validate(change["data"])

    async def keep_up(self) -> None:
        """Pull when asked by `ask_to_pull`, and look at the door regularly, until cancelled."""
        metrics.REPLICA_AGE.since(time.monotonic(), self.source)
        while True:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001 - a replica that stops is an outage: report and go on
                self._report(error)
            await asyncio.sleep(1)

    async def look(self) -> None:
        """Pull every organization that is behind; one that cannot be pulled does not hold up the others.

        Raises:
            Unavailable: the authority does not tell how far its organizations are.
        """
        began, is_whole = time.monotonic(), True
        heads = await self.door.heads()
        behind = deque([org_id for org_id, head in heads if await self.position(org_id) < head])
        while behind:  # a page each in turn: one with much to tell holds up no other
            org_id = behind.popleft()
            is_all = await self._try_to_pull(org_id)
            is_whole = is_whole and is_all is not None
            if is_all is False:
                behind.append(org_id)
        if is_whole:
            metrics.REPLICA_AGE.since(began, self.source)

    async def _listen(self) -> None:
        """Hold one connection for as long as it lasts, and pull what is asked for over it."""
        asked: asyncio.Queue[str | None] = asyncio.Queue()
        dsn = plain_dsn(self.database.engine.url.render_as_string(hide_password=False))
        connection = await asyncpg.connect(dsn, timeout=5, command_timeout=5)
        # Whoever asks over a connection that is gone is not heard: at once another, and a look.
        connection.add_termination_listener(lambda _: asked.put_nowait(None))
        looking = None
        try:
            await connection.add_listener(PULL_CHANNEL, lambda *args: asked.put_nowait(args[3]))
            looking = asyncio.create_task(self._look_regularly())
            await self._answer(asked)
        finally:
            if looking is not None:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
            with contextlib.suppress(Exception):
                await connection.close(timeout=1)

    async def _look_regularly(self) -> None:
        """Look now and then. Beside answering: who asks is waiting, for seconds at most (D6).

        This also bounds what a network does that cuts the listening connection without a word, which
        nothing here would notice: what is asked for over it comes with the next look, `look_every` later.
        """
        while True:
            try:
                await self.look()
            except Unavailable:
                pass  # it has been logged where it was asked
            except Exception as error:  # noqa: BLE001 - as in `keep_up`
                self._report(error)
            await asyncio.sleep(self.look_every)

    async def _answer(self, asked: asyncio.Queue[str | None]) -> None:
        """Pull what is asked for, each organization once however many ask, and a page each in turn.

        Raises:
            ConnectionResetError: nothing more can be heard.
        """
        behind: deque[str] = deque()
        while True:
            while not behind or not asked.empty():
                question = await asked.get()
                if question is None:
                    raise ConnectionResetError
                source, _, org_id = question.partition(":")
                if source == self.source and org_id not in behind:
                    behind.append(org_id)
            org_id = behind.popleft()
            if await self._try_to_pull(org_id) is False:
                behind.append(org_id)

    async def _try_to_pull(self, org_id: UUID | str) -> bool | None:
        """Pull a page; say whether that was all, None where it failed."""
        try:
            return await self._pull_page(UUID(str(org_id)))
        except Unavailable:  # why, has been logged where it was asked
            log.warning("replica.not_pulled", source=self.source, org_id=str(org_id))
        except Exception as error:  # noqa: BLE001 - one organization's trouble is not the others'
            self._report(error, org_id=str(org_id))
        return None

    def _report(self, error: Exception, **about: str) -> None:
        about["source"] = self.source
        if is_outage(error) or isinstance(error, asyncpg.InterfaceError):
            log.warning("replica.interrupted", error=type(error).__name__, **about)
        else:
            log.error("replica.failed", exc_info=error, **about)

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
        if only_from:  # from 0 there is no row yet, and none to be found elsewhere
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


def _last(answer: Changes) -> int:
    """Return up to which change an answer tells everything."""
    return answer.head if answer.complete else int(answer.changes[-1]["seq"])


async def ask_to_pull(database: Database, source: str, org_id: UUID) -> None:
    """Ask the worker, wherever it runs, to pull an organization from an authority now."""
    async with database.reading(None) as connection:
        await connection.exec_driver_sql(
            "SELECT pg_notify($1, $2)", (PULL_CHANNEL, f"{source}:{org_id}")
        )
