"""Looks now and then at what no hook can count: how long the outbox is, and what waits in the queues.

Done by workers, each for itself. What cannot be looked at has no figure meanwhile, rather than an old one or
none at all to be mistaken for 0.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import sqlalchemy as sa
import structlog
from aio_pika.abc import AbstractChannel

from bailiwick_contracts.envelope import bulk
from bailiwick_kit.bus.broker import DEADLINE, LOST, open_channel
from bailiwick_kit.bus.relay import BULK, LIVE, REFUSED, UNCONFIRMED, Lane
from bailiwick_kit.bus.topology import dead_queue
from bailiwick_kit.database.engine import Database
from bailiwick_kit.telemetry import metrics
from bailiwick_kit.telemetry.metrics import Reading
from bailiwick_kit.transient_errors import is_outage

log = structlog.get_logger(__name__)

DATABASE_EVERY = 5.0
BROKER_EVERY = 15.0
"""Seconds between two looks."""
MOST_COUNTED = 100_000
"""Rows of an outbox that are counted at most: some 50 ms of a database's time."""


async def sampling(
    what: str,
    every: float,
    rounds: Callable[[], AsyncGenerator[None, None]],
    *readings: Reading,
) -> None:
    """Sample until cancelled: `rounds` yields after each look at what the readings tell.

    While it fails the readings tell nothing, and the log does once.
    """
    is_failing = False
    while True:
        try:
            async with aclosing(rounds()) as looks:
                async for _ in looks:
                    is_failing = False
                    await asyncio.sleep(every)
        except Exception as error:  # noqa: BLE001 - figures may be missing; nothing else may fail for it
            for reading in readings:
                reading.clear()
            if not is_failing:
                _report(what, error)
            is_failing = True
        await asyncio.sleep(every)


def _report(what: str, error: Exception) -> None:
    if is_outage(error) or isinstance(error, LOST):
        log.warning("sampling.interrupted", what=what, error=type(error).__name__)
    else:
        log.error("sampling.failed", what=what, exc_info=error)


@dataclass(frozen=True)
class OutboxSampling:
    """Counts what a service's outbox still holds, as its worker."""

    database: Database
    outbox: sa.Table
    every: float = DATABASE_EVERY

    async def run(self) -> None:
        """Go on until cancelled."""
        readings = (
            metrics.OUTBOX_UNSENT,
            metrics.OUTBOX_OLDEST,
            metrics.OUTBOX_UNDELIVERABLE,
            metrics.OUTBOX_PARKED,
        )
        await sampling("outbox", self.every, self._rounds, *readings)

    async def _rounds(self) -> AsyncGenerator[None, None]:
        lanes = {lane.name: _waiting(self.outbox, lane) for lane in (LIVE, BULK)}
        parked = sa.select(sa.func.count()).select_from(
            sa.select(self.outbox.c.position)
            .where(self.outbox.c.parked_at.is_not(None), self.outbox.c.sent_at.is_(None))
            .limit(MOST_COUNTED)
            .subquery()
        )
        while True:
            undeliverable = 0
            async with self.database.reading(None) as connection:
                for lane, statement in lanes.items():
                    count, oldest, returned = (await connection.execute(statement)).one()
                    metrics.OUTBOX_UNSENT.set(count, lane)
                    metrics.OUTBOX_OLDEST.set(max(float(oldest), 0.0), lane)
                    undeliverable += returned
                metrics.OUTBOX_UNDELIVERABLE.set(undeliverable)
                metrics.OUTBOX_PARKED.set((await connection.execute(parked)).scalar_one())
            yield


def _waiting(outbox: sa.Table, lane: Lane) -> sa.Select[int, float, int]:
    """Return what counts a lane's rows that are still to be sent, by the indexes that the relay uses."""
    is_its = outbox.c.bulk if lane.is_bulk else ~outbox.c.bulk
    shown = sa.select(outbox.c.recorded_at, outbox.c.error)
    of_both = [
        shown.where(is_its, outbox.c.sent_at.is_(None), *waits)
        .order_by(outbox.c.org_id, order)
        .limit(MOST_COUNTED)
        for waits, order in (
            ([outbox.c.retry_at.is_(None)], outbox.c.position),
            ([outbox.c.retry_at.is_not(None), outbox.c.parked_at.is_(None)], outbox.c.retry_at),
        )
    ]
    waiting = sa.union_all(*(sa.select(one.subquery()) for one in of_both)).subquery()
    returned = waiting.c.error.is_not(None) & waiting.c.error.not_in((UNCONFIRMED, REFUSED))
    age = sa.func.extract("epoch", sa.func.now() - sa.func.min(waiting.c.recorded_at))
    return sa.select(
        sa.func.count(), sa.func.coalesce(age, 0), sa.func.count().filter(returned)
    ).select_from(waiting)


@dataclass(frozen=True)
class QueueSampling:
    """Asks the broker what waits in queues, for bulk too, and beside them, on a connection of its own."""

    broker_url: str
    queues: Sequence[str]
    every: float = BROKER_EVERY

    async def run(self) -> None:
        """Go on until cancelled."""
        readings = (metrics.QUEUE_MESSAGES, metrics.QUEUE_CONSUMERS, metrics.DEAD_LETTERS)
        await sampling("queues", self.every, self._rounds, *readings)

    async def _rounds(self) -> AsyncGenerator[None, None]:
        order = list(self.queues)
        while True:
            async with open_channel(self.broker_url, "sampling") as channel:
                silent = None
                while silent is None:
                    silent = await _first_silent(channel, order)
                    yield
            # A queue without a leader never answers (T1), and takes the channel with it: it comes last.
            order.remove(silent)
            order.append(silent)


async def _first_silent(channel: AbstractChannel, queues: Sequence[str]) -> str | None:
    """Look at one queue after the other; return the first that does not tell, None where all do."""
    for queue in queues:
        lanes = (queue, bulk(queue))
        try:
            async with asyncio.timeout(DEADLINE):
                waiting = [await channel.declare_queue(one, passive=True) for one in lanes]
                dead = await channel.declare_queue(dead_queue(queue), passive=True)
        except LOST:
            for reading in (metrics.QUEUE_MESSAGES, metrics.QUEUE_CONSUMERS, metrics.DEAD_LETTERS):
                for one in lanes:
                    reading.forget(one)
            return queue
        for one, found in zip(lanes, waiting, strict=True):
            told = found.declaration_result
            metrics.QUEUE_MESSAGES.set(told.message_count or 0, one)
            metrics.QUEUE_CONSUMERS.set(told.consumer_count or 0, one)
        metrics.DEAD_LETTERS.set(dead.declaration_result.message_count or 0, queue)
    return None
