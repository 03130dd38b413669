"""A local copy of what an authority owns: fed by its events, made whole through its change feed (D1).

Events only make it early. Every change carries a gap-free number per organization; a replica counts up
to where it has everything, pulls what it misses, and looks at the change feed on its own every few seconds,
so that neither a dead broker nor a lost event leaves it behind for long. An event never waits for a pull: it
is applied at once, and what is missing before it is pulled beside.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.envelope import Event, Sequenced
from bailiwick_kit.bus.handling import Received
from bailiwick_kit.bus.outbox_notify import plain_dsn
from bailiwick_kit.database.engine import Database
from bailiwick_kit.errors import Unavailable
from bailiwick_kit.replication.change_feed_client import MOST_CHANGES, ChangeFeedClient, Changes
from bailiwick_kit.retrying import TRY_AGAIN_AFTER, patiently
from bailiwick_kit.sibling_http import unavailable
from bailiwick_kit.telemetry import metrics
from bailiwick_kit.transient_errors import is_outage

log = structlog.get_logger(__name__)

LOOK_EVERY = 5.0
"""Seconds between looks at the authority's change feed when nothing else asks for one."""
GAP_AFTER = 0.05
"""Seconds after an event with a gap before it, until what is missing is pulled: often it is under way."""
PULLS_AT_ONCE = 2
"""Organizations that are pulled at the same time, so that one whose pages take long holds up no other."""
PULL_CHANNEL = "bailiwick_pull"

Applier: TypeAlias = Callable[[AsyncConnection, Sequence[Any]], Awaitable[None]]
"""Writes the state that events of one class and organization tell, where that is newer than what is there.

They come in the order of their numbers; one entity may be among them several times.
"""


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
    feed: ChangeFeedClient
    look_every: float = LOOK_EVERY
    _asked: asyncio.Queue[UUID] = field(default_factory=asyncio.Queue, init=False, repr=False)
    _waiting: set[UUID] = field(default_factory=set, init=False, repr=False)
    _pulling: set[UUID] = field(default_factory=set, init=False, repr=False)
    _limits: dict[UUID, int] = field(default_factory=dict, init=False, repr=False)
    _shut_until: dict[UUID, float] = field(default_factory=dict, init=False, repr=False)

    async def receive(self, connection: AsyncConnection, received: Sequence[Received]) -> None:
        """Apply events of one organization in the open transaction, and count those that come next.

        What is known already is passed over. A changeset in chunks is left to the change feed, which tells it
        whole. Where something is missing before an event, that is asked for, and comes later.
        """
        events = sorted((_sequenced(one.event) for one in received), key=lambda one: one.seq)
        org_id = events[0].org_id
        await self._queue_up(connection, org_id)
        stood = reached = await self._stands(connection, org_id)
        new = [one for one in events if one.seq > stood]
        whole = [one for one in new if getattr(one, "chunks", 1) == 1]
        await self._write(connection, whole)
        for one in whole:
            reached = one.seq if one.seq == reached + 1 else reached
        if reached > stood:
            await self._advance(connection, org_id, reached)
        if any(one.seq > reached for one in new):
            self._ask_for_a_gap(org_id)

    def ask(self, org_id: UUID) -> None:
        """Have an organization pulled by `keep_up`, once however often this is asked."""
        if org_id not in self._waiting:
            self._waiting.add(org_id)
            self._asked.put_nowait(org_id)

    def _ask_for_a_gap(self, org_id: UUID) -> None:
        """Ask for what is missing, unless that failed a moment ago: then a look comes soon."""
        clock = asyncio.get_running_loop()
        if clock.time() >= self._shut_until.get(org_id, 0.0):
            clock.call_later(GAP_AFTER, self.ask, org_id)

    async def position(self, org_id: UUID) -> int:
        """Return up to which change everything has been applied."""
        async with self.database.reading(org_id) as connection:
            return await self._stands(connection, org_id)

    async def _stands(self, connection: AsyncConnection, org_id: UUID) -> int:
        table = self.positions
        found = await connection.execute(
            sa.select(table.c.seq).where(table.c.org_id == org_id, table.c.source == self.source)
        )
        return int(found.scalar() or 0)

    async def pull(
        self, org_id: UUID, *, patience: float = 0.0, tell: Callable[[str], None] | None = None
    ) -> None:
        """Ask the change feed for everything after our position and apply it, a page a transaction.

        What fails is tried again for `patience` seconds without progress; `tell` is told what is waited for.

        Raises:
            Unavailable: the authority does not answer, or not as it should.
        """
        while not await patiently(lambda: self._pull_page(org_id), patience, tell):
            pass

    async def catch_up(self, org_id: UUID) -> bool:
        """Pull as much as the change feed tells at once, and return whether that was all.

        `keep_up` pulls the rest beside: an organization with much to tell holds up no other.

        Raises:
            Unavailable: the authority does not answer, or not as it should.
        """
        if org_id not in self._pulling and await self._pull_page(org_id):
            return True
        self.ask(org_id)
        return False

    async def _pull_page(self, org_id: UUID) -> bool:
        """Pull as much as the change feed tells at once; say whether that was all.

        Whatever a page failed of, the next one is half as large: it may have been too much.
        """
        limit = self._limits.get(org_id, MOST_CHANGES)
        try:
            answer = await self._told(org_id, await self.position(org_id), limit)
            await self._apply(org_id, answer)
        except Exception:
            self._limits[org_id] = max(1, limit // 2)
            raise
        self._shut_until.pop(org_id, None)
        self._limits.pop(org_id, None)
        if 2 * limit < MOST_CHANGES:
            self._limits[org_id] = 2 * limit
        return answer.complete

    async def read_all(self, org_id: UUID, take: Callable[[Event], None]) -> int:
        """Have `take` take all that the change feed tells, and return up to which change that is everything.

        Nothing is written. What changes meanwhile is told again, as it is then: hence until the change feed
        has nothing more to tell, for what changes while a page is put together is in no page before that.

        Raises:
            Unavailable: the authority does not answer, or not as it should.
        """
        after = 0
        while True:
            answer = await self._told(org_id, after, MOST_CHANGES)
            for event in self._events(answer):
                take(event)
            if answer.complete and not answer.changes and answer.head == after:
                return after
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

    async def _told(self, org_id: UUID, after: int, limit: int) -> Changes:
        answer = await self.feed.changes(org_id, after, limit)
        if not answer.complete and not answer.changes:
            raise unavailable("more is said to come, and nothing comes")
        return answer

    async def _apply(self, org_id: UUID, answer: Changes) -> None:
        events = list(self._events(answer))
        async with self.alone(org_id) as connection:
            await self._write(connection, events)
            await self._advance(connection, org_id, _last(answer))

    async def _write(self, connection: AsyncConnection, events: Sequence[Event]) -> None:
        """Write what events tell, those of one class after the other."""
        for event_class, apply in self.appliers.items():
            if its_own := [event for event in events if type(event) is event_class]:
                await apply(connection, its_own)

    def _events(self, answer: Changes) -> Iterator[Event]:
        types = {event.type: event for event in self.appliers}
        for change in answer.changes:
            if change["type"] in types:
                yield types[change["type"]].model_validate(change["data"])

    async def keep_up(self) -> None:
        """Pull when asked, here or by `ask_to_pull`, and look at the feed regularly, until cancelled."""
        metrics.REPLICA_AGE.since(time.monotonic(), self.source)
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(self._go_on(self._listen, 1.0))
            for _ in range(PULLS_AT_ONCE):
                jobs.create_task(self._go_on(self._pull_in_turn, 1.0))

    async def _go_on(self, job: Callable[[], Awaitable[None]], pause: float) -> None:
        """Do it again and again."""
        while True:
            try:
                await job()
            except Unavailable:
                pass  # it has been logged where it was asked
            except Exception as error:  # noqa: BLE001 - a replica that stops is an outage: report and go on
                self._report(error)
            await asyncio.sleep(pause)

    async def look(self) -> None:
        """Pull every organization that is behind; one that cannot be pulled does not hold up the others.

        Raises:
            Unavailable: the authority does not tell how far its organizations are.
        """
        began, is_whole = time.monotonic(), True
        heads = await self.feed.heads()
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
        """Hold one connection for as long as it lasts, and have pulled what is asked for over it.

        Look now and then meanwhile. This also bounds what a network does that cuts the connection without
        a word, which nothing here would notice: what is asked for then comes with the next look.
        """
        dsn = plain_dsn(self.database.engine.url.render_as_string(hide_password=False))
        connection = await asyncpg.connect(dsn, timeout=5, command_timeout=5)
        # Whoever asks over a connection that is gone is not heard: at once another, and a look.
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        looking = None
        try:
            await connection.add_listener(PULL_CHANNEL, lambda *args: self._asked_over(args[3]))
            looking = asyncio.create_task(self._go_on(self.look, self.look_every))
            await ended.wait()
            raise ConnectionResetError
        finally:
            if looking is not None:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
            with contextlib.suppress(Exception):
                await connection.close(timeout=1)

    def _asked_over(self, question: str) -> None:
        source, _, org_id = question.partition(":")
        with contextlib.suppress(ValueError):  # nonsense
            if source == self.source:
                self.ask(UUID(org_id))

    async def _pull_in_turn(self) -> None:
        """Pull what is asked for, a page of each organization in turn."""
        while True:
            org_id = await self._asked.get()
            self._waiting.discard(org_id)
            if org_id in self._pulling:
                asyncio.get_running_loop().call_later(GAP_AFTER, self.ask, org_id)
                continue
            self._pulling.add(org_id)
            try:
                is_all = await self._try_to_pull(org_id)
            finally:
                self._pulling.discard(org_id)
            if is_all is False:
                self.ask(org_id)
            elif is_all is None and self._limits.get(org_id, 1) > 1:
                asyncio.get_running_loop().call_later(TRY_AGAIN_AFTER, self.ask, org_id)

    async def _try_to_pull(self, org_id: UUID) -> bool | None:
        """Pull a page; say whether that was all, None where it failed."""
        try:
            return await self._pull_page(org_id)
        except Unavailable:  # why, has been logged where it was asked
            log.warning("replica.not_pulled", source=self.source, org_id=str(org_id))
        except Exception as error:  # noqa: BLE001 - one organization's trouble is not the others'
            self._report(error, org_id=str(org_id))
        self._shut_until[org_id] = asyncio.get_running_loop().time() + self.look_every
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

    async def _advance(self, connection: AsyncConnection, org_id: UUID, seq: int) -> None:
        """Move the position forward, never back."""
        table = self.positions
        statement = insert(table).values(org_id=org_id, source=self.source, seq=seq)
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=[table.c.org_id, table.c.source],
                set_={"seq": seq},
                where=table.c.seq < seq,
            )
        )


def _sequenced(event: Event) -> Sequenced:
    assert isinstance(event, Sequenced)  # noqa: S101  # the catalogue holds it
    return event


def _last(answer: Changes) -> int:
    """Return up to which change an answer tells everything."""
    return answer.head if answer.complete else int(answer.changes[-1]["seq"])


async def ask_to_pull(database: Database, source: str, org_id: UUID) -> None:
    """Ask the worker, wherever it runs, to pull an organization from an authority now."""
    async with database.reading(None) as connection:
        await connection.exec_driver_sql(
            "SELECT pg_notify($1, $2)", (PULL_CHANNEL, f"{source}:{org_id}")
        )
