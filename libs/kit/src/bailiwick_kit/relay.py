"""The relay: takes unsent rows from the outbox to the broker, and marks a row sent on its confirm only.

One is active per database, held by an advisory lock; others stand by (D14). It never concludes from a
time-out that a message was not delivered (L6): the row goes again, with the same event id. A message
that is returned although somebody should be listening waits and holds up no other (D16).

While one batch is marked and the next is read, another is under way, so that neither broker nor database
waits for the other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import asyncpg
import structlog
from aio_pika.abc import AbstractChannel, AbstractExchange
from aio_pika.exceptions import ChannelInvalidStateError, DeliveryError
from opentelemetry.trace import SpanKind

from bailiwick_kit import crash_points, metrics, trace
from bailiwick_kit.broker import DEADLINE, LOST, RECONNECT_AFTER, open_channel
from bailiwick_kit.messages import to_message, told_of
from bailiwick_kit.wake import CHANNEL, plain_dsn

log = structlog.get_logger(__name__)

WINDOW = 500
"""How many messages await their confirms at a time: two batches."""
POLL = 0.5
"""Seconds between looks when nothing wakes the relay."""
UNCONFIRMED = "unconfirmed"
"""The error of a row that the broker did not confirm in time: that is no fault of the row's."""
_STAND_BY = 1.0
"""Seconds between tries of one that stands by."""
_SETTINGS = {
    # An active relay asks every half second: one that is frozen or cut off loses its lock by this.
    "idle_session_timeout": "30s",
    "statement_timeout": "10s",
    # A mark that a crash takes back only sends its row again, with the same event id (L6): who places
    # orders need not share the disk with it.
    "synchronous_commit": "off",
}
_LOCK = "SELECT pg_try_advisory_lock(hashtext('bailiwick.relay'))"

_UNSENT = """
    SELECT position, event_id, org_id, subject, type, body, trace_parent, recipient, recorded_at
    FROM outbox WHERE sent_at IS NULL AND (retry_at IS NULL OR retry_at <= now())
        AND position <> ALL($2::bigint[])
    ORDER BY position LIMIT $1
"""
_MARK = "UPDATE outbox SET sent_at = now(), error = NULL WHERE position = ANY($1::bigint[])"
_POSTPONE = """
    UPDATE outbox SET attempts = attempts + 1, error = late.error,
           retry_at = now() + least(late.most, power(2, least(attempts, 6))) * interval '1 second'
    FROM unnest($1::bigint[], $2::text[], $3::int[]) AS late (at, error, most)
    WHERE position = late.at
"""
_MOST_UNDELIVERABLE, _MOST_UNCONFIRMED = 60, 5
"""Seconds that a row is put off at most. Unconfirmed: one queue without a leader holds up no other (L1)."""


@dataclass
class _Batch:
    """Rows whose messages are under way, each to be confirmed until then."""

    rows: Sequence[asyncpg.Record]
    publishing: Sequence[asyncio.Future[None]]
    until: float

    @property
    def positions(self) -> list[int]:
        return [row["position"] for row in self.rows]

    async def outcomes(self) -> list[BaseException | None]:
        """Return what became of each, in order: None is confirmed, cancelled is unconfirmed."""
        try:
            left = self.until - asyncio.get_running_loop().time()
            await asyncio.wait(self.publishing, timeout=max(left, 0))
        finally:
            outcomes = await self.give_up()
        return outcomes

    async def give_up(self) -> list[BaseException | None]:
        """Wait for no further confirm."""
        for one in self.publishing:
            one.cancel()
        return await asyncio.gather(*self.publishing, return_exceptions=True)


@dataclass
class Relay:
    """Sends one service's outbox. `source` is the service's name; `bound` the types somebody binds."""

    database_url: str
    broker_url: str
    source: str
    exchange: str
    bound: Collection[str]

    async def run(self) -> None:
        """Relay until cancelled, reconnecting to database and broker whenever either is lost."""
        while True:
            try:
                await self._session()
            except LOST as error:
                log.warning("relay.interrupted", by="broker", error=type(error).__name__)
            except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                cause = error.__cause__ or error
                log.warning("relay.interrupted", by="database", error=type(cause).__name__)
            except Exception:  # a relay that stops is an outage: report and go on
                log.exception("relay.failed")
            await asyncio.sleep(RECONNECT_AFTER)

    async def _session(self) -> None:
        """Hold the lock and the broker for as long as both last."""
        metrics.RELAY_ACTIVE.set(0)
        with _asking_the_database():
            database = await asyncpg.connect(
                plain_dsn(self.database_url),
                timeout=5,
                command_timeout=15,
                server_settings={**_SETTINGS, "application_name": f"{self.source}-relay"},
            )
        try:
            woken = asyncio.Event()
            with _asking_the_database():
                while not await database.fetchval(_LOCK):  # noqa: ASYNC110 - another process holds it
                    await asyncio.sleep(_STAND_BY)
                await database.add_listener(CHANNEL, lambda *_: woken.set())
            async with open_channel(self.broker_url, f"{self.source} relay") as channel:
                metrics.RELAY_ACTIVE.set(1)
                await self._drain(database, channel, woken)
        finally:
            metrics.RELAY_ACTIVE.set(0)
            with contextlib.suppress(Exception):
                await database.close(timeout=2)

    async def _drain(
        self, database: asyncpg.Connection, channel: AbstractChannel, woken: asyncio.Event
    ) -> None:
        async with asyncio.timeout(DEADLINE):
            exchange = await channel.get_exchange(self.exchange, ensure=True)
        # One row first, alone: a broker that takes connections and then does not read is tried with one
        # message each time, not with hundreds that it would deliver again later.
        limit = 1
        under_way: deque[_Batch] = deque()
        try:
            while True:
                woken.clear()
                held = [position for batch in under_way for position in batch.positions]
                with _asking_the_database():
                    rows = await database.fetch(_UNSENT, limit, held)
                if rows:
                    under_way.append(self._publishing(rows, exchange, channel.default_exchange))
                has_more = len(rows) == limit
                while len(under_way) > (1 if has_more and limit > 1 else 0):
                    await self._settle(database, under_way.popleft())
                if has_more:
                    limit = WINDOW // 2
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL):
                        await woken.wait()
                if channel.is_closed:
                    raise ChannelInvalidStateError("channel closed")
        except LOST:
            for batch in under_way:
                with contextlib.suppress(*LOST):
                    await self._settle(database, batch)
            raise
        finally:
            for batch in under_way:
                await batch.give_up()

    def _publishing(
        self,
        rows: Sequence[asyncpg.Record],
        exchange: AbstractExchange,
        direct: AbstractExchange,
    ) -> _Batch:
        """Begin to publish a batch, in order."""
        crash_points.reach("relay.before-publish")
        publishing = [asyncio.ensure_future(self._publish(row, exchange, direct)) for row in rows]
        return _Batch(rows, publishing, asyncio.get_running_loop().time() + DEADLINE)

    async def _settle(self, database: asyncpg.Connection, batch: _Batch) -> None:
        """Mark what was confirmed, even where the rest was not.

        Raises:
            `broker.LOST`: the broker is lost, or does not confirm.
            asyncpg.PostgresError, asyncpg.InterfaceError: the database is lost, or does not answer.
        """
        outcomes = await batch.outcomes()
        crash_points.reach("relay.after-publish")
        rows, positions = batch.rows, batch.positions
        sent = [at for at, outcome in zip(positions, outcomes, strict=True) if outcome is None]
        with _asking_the_database():
            await database.execute(_MARK, sent)
        crash_points.reach("relay.after-mark")
        lost: BaseException | None = None
        late: list[tuple[int, str, int]] = []
        for row, outcome in zip(rows, outcomes, strict=True):
            if outcome is None:
                metrics.RELAY.observe(metrics.seconds_since(row["recorded_at"]))
            elif isinstance(outcome, asyncio.CancelledError):
                lost = TimeoutError()
                late.append((row["position"], UNCONFIRMED, _MOST_UNCONFIRMED))
            elif _is_broker_lost(outcome):
                lost = outcome
            else:
                reason = type(outcome).__name__
                late.append((row["position"], reason, _MOST_UNDELIVERABLE))
                log.error(
                    "relay.undeliverable",
                    type=row["type"],
                    event_id=str(row["event_id"]),
                    error=reason,
                )
        if late:
            with _asking_the_database():
                await database.execute(_POSTPONE, *map(list, zip(*late, strict=True)))
        if lost is not None:
            raise lost

    async def _publish(
        self, row: asyncpg.Record, exchange: AbstractExchange, direct: AbstractExchange
    ) -> None:
        to = told_of("publish", row["recipient"] or self.exchange, row["event_id"], row["type"])
        with trace.span(
            f"publish {row['type']}", SpanKind.PRODUCER, to, parent=row["trace_parent"]
        ):
            message = to_message(
                event_id=row["event_id"],
                event_type=row["type"],
                source=f"/{self.source}",
                subject=row["subject"],
                time=row["recorded_at"],
                body=row["body"],
                trace_parent=trace.trace_parent(),
            )
            if row["recipient"] is not None:
                await direct.publish(message, row["recipient"], mandatory=True)
                return
            mandatory = row["type"] in self.bound
            await exchange.publish(message, f"{row['type']}.{row['org_id']}", mandatory=mandatory)


@contextlib.contextmanager
def _asking_the_database() -> Iterator[None]:
    """Tell a database that is cut off, or does not answer, from a broker: then nothing can be marked."""
    try:
        yield
    except OSError as error:  # a TimeoutError is one
        raise asyncpg.InterfaceError("the database is away") from error


def _is_broker_lost(outcome: BaseException | None) -> bool:
    """Tell a lost broker from a row that cannot be delivered: a DeliveryError is in LOST, and is none."""
    return isinstance(outcome, LOST) and not isinstance(outcome, DeliveryError)
