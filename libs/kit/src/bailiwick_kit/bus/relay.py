"""The relay: takes unsent rows from the outbox to the broker, and marks a row sent on its confirm only.

One is active per database and lane, held by an advisory lock; others stand by (D14). It never concludes
from a time-out that a message was not delivered (T6): the row goes again, with the same event id. A
message that is returned although somebody should be listening waits and holds up no other (D16); it has
a bounded part of the work, and after some minutes it is parked (ADR 16).

Two lanes run side by side, each over connections of its own (ADR 15). Bulk has few messages under way at
a time, so that what people do now finds broker and processor free. In each lane every organization that
has rows waiting has an equal part; and who publishes more than a share goes on in bulk.

While one batch is marked and the next is read, another is under way, so that neither broker nor database
waits for the other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import structlog
from aio_pika.abc import AbstractChannel, AbstractExchange
from aio_pika.exceptions import ChannelInvalidStateError, DeliveryError
from opentelemetry.trace import SpanKind

from bailiwick_contracts.envelope import bulk
from bailiwick_kit import crash_points
from bailiwick_kit.bus import relay_statements as statements
from bailiwick_kit.bus.broker import DEADLINE, LOST, RECONNECT_AFTER, open_channel
from bailiwick_kit.bus.messages import to_message, told_of
from bailiwick_kit.bus.outbox_notify import CHANNEL, plain_dsn
from bailiwick_kit.bus.shares import Shares
from bailiwick_kit.bus.topology import direct_exchange
from bailiwick_kit.telemetry import metrics, trace

log = structlog.get_logger(__name__)

POLL = 0.5
"""Seconds between looks when nothing wakes the relay."""
RETRY_EVERY, RETRIED = 0.1, 50
"""Seconds between looks for rows that are to be tried again, and how many are then."""
MOST_BYTES = 4 * 1024 * 1024
"""Bytes of bodies that are read at a time; a row that alone has more is read alone."""
UNCONFIRMED = "unconfirmed"
"""The error of a row that the broker did not confirm in time: that is no fault of the row's."""
REFUSED = "DeliveryError"
"""The error of a row that a full queue did not take: it has room again when somebody reads it."""
_STAND_BY = 1.0
"""Seconds between tries of one that stands by."""
_MOST_UNDELIVERABLE, _MOST_UNCONFIRMED = 60, 5
"""Seconds that a row is put off at most. Unconfirmed: one queue without a leader holds up no other (T1)."""
_NOBODY = UUID(int=0)


@dataclass(frozen=True)
class Lane:
    """How one lane is sent: `page` rows are read at a time, and up to two times `batch` under way."""

    name: str
    is_bulk: bool
    page: int
    batch: int

    @property
    def lock(self) -> str:
        """The advisory lock of the one that is active. That of the first is the older versions' too."""
        return "bailiwick.relay" + (bulk("") if self.is_bulk else "")


LIVE = Lane("live", is_bulk=False, page=100, batch=100)
BULK = Lane("bulk", is_bulk=True, page=500, batch=50)


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
    shares: Shares = field(default_factory=Shares)

    async def run(self) -> None:
        """Relay both lanes until cancelled, each by itself. If one ends, so does the other."""
        # No task group: it would not miss a lane that something inside it has cancelled.
        lanes = [asyncio.ensure_future(LaneRelay(self, lane).run()) for lane in (LIVE, BULK)]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)

    async def publish(
        self, row: asyncpg.Record, exchange: AbstractExchange, direct: AbstractExchange
    ) -> None:
        """Publish a row to an exchange, or to the one queue that it is for; return when it is confirmed.

        Raises:
            PublishError: it came back, because no queue takes it.
            DeliveryError: a queue that is full refused it.
            `broker.LOST`: the broker is lost.
        """
        to = told_of("publish", row["recipient"] or exchange.name, row["event_id"], row["type"])
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


@dataclass
class LaneRelay:
    """Sends one lane of an outbox."""

    relay: Relay
    lane: Lane
    _after: UUID = _NOBODY
    """The organization after which the next look begins."""
    _retry_from: float = 0.0
    _rest: float = POLL
    """Seconds to the next look, if nothing was found by this one."""

    async def run(self) -> None:
        """Relay until cancelled, reconnecting to database and broker whenever either is lost."""
        about = {"lane": self.lane.name}
        while True:
            try:
                await self._session()
            except LOST as error:
                log.warning("relay.interrupted", by="broker", error=type(error).__name__, **about)
            except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                cause = type(error.__cause__ or error).__name__
                log.warning("relay.interrupted", by="database", error=cause, **about)
            except Exception:  # a relay that stops is an outage: report and go on
                log.exception("relay.failed", **about)
            await asyncio.sleep(RECONNECT_AFTER)

    async def _session(self) -> None:
        """Hold the lock and the broker for as long as both last."""
        relay, lane = self.relay, self.lane
        metrics.RELAY_ACTIVE.set(0, lane.name)
        name = f"{relay.source}-relay-{lane.name}"
        with _asking_the_database():
            database = await asyncpg.connect(
                plain_dsn(relay.database_url),
                timeout=5,
                command_timeout=15,
                server_settings={**statements.SETTINGS, "application_name": name},
            )
        try:
            woken = asyncio.Event()
            with _asking_the_database():
                while not await database.fetchval(statements.LOCK, lane.lock):  # noqa: ASYNC110 - another's
                    await asyncio.sleep(_STAND_BY)
                if not lane.is_bulk:  # nobody waits for bulk: it looks now and then
                    await database.add_listener(CHANNEL, lambda *_: woken.set())
            async with open_channel(
                relay.broker_url, f"{relay.source} relay {lane.name}"
            ) as channel:
                metrics.RELAY_ACTIVE.set(1, lane.name)
                await self._drain(database, channel, woken)
        finally:
            metrics.RELAY_ACTIVE.set(0, lane.name)
            with contextlib.suppress(Exception):
                await database.close(timeout=2)

    async def _drain(
        self, database: asyncpg.Connection, channel: AbstractChannel, woken: asyncio.Event
    ) -> None:
        name = self.relay.exchange
        async with asyncio.timeout(DEADLINE):
            exchange = await channel.get_exchange(
                bulk(name) if self.lane.is_bulk else name, ensure=True
            )
            direct = await channel.get_exchange(direct_exchange(self.relay.source), ensure=True)
        # One row first, alone: a broker that takes connections and then does not read is tried with one
        # message each time, not with hundreds that it would deliver again later.
        is_proven = False
        page: deque[asyncpg.Record] = deque()
        under_way: deque[_Batch] = deque()
        try:
            while True:
                woken.clear()
                is_idle = False
                if not page:
                    held = [position for batch in under_way for position in batch.positions]
                    limit = self.lane.page if is_proven else 1
                    found, is_idle = await self._look(database, held, limit)
                    page.extend(found)
                rows = [page.popleft() for _ in range(min(len(page), self.lane.batch))]
                if rows:
                    under_way.append(self._publishing(rows, exchange, direct))
                while len(under_way) > (1 if rows and is_proven else 0):
                    await self._settle(database, under_way.popleft())
                is_proven = is_proven or bool(rows)
                if not is_idle:
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._rest):
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

    async def _look(
        self, database: asyncpg.Connection, held: list[int], limit: int
    ) -> tuple[list[asyncpg.Record], bool]:
        """Return the next rows that are to be sent, and whether there was nothing at all to do.

        First those that were never tried, then some others. Rows beyond their organization's share are
        left to the other lane.
        """
        now = asyncio.get_running_loop().time()
        with _asking_the_database():
            rows, excess = self._shared(await self._untried(database, held, limit), now)
            if excess:
                await database.execute(statements.DEMOTE, excess)
            if now >= self._retry_from:
                self._retry_from = now + RETRY_EVERY
                most = (self.lane.is_bulk, min(limit, RETRIED), held, MOST_BYTES, _NOBODY)
                again = await database.fetch(statements.TRIED, *most)
                self._rest = RETRY_EVERY if len(again) == RETRIED else POLL
                rows += again
        return rows, not rows and not excess

    async def _untried(
        self, database: asyncpg.Connection, held: list[int], limit: int
    ) -> list[asyncpg.Record]:
        """Return rows of one organization after the other, from where the last look ended."""
        while True:
            most = (self.lane.is_bulk, limit, held, MOST_BYTES, self._after)
            rows = await database.fetch(statements.UNTRIED, *most)
            whose = {row["org_id"] for row in rows}
            is_cut = sum(len(row["body"]) for row in rows) >= MOST_BYTES
            has_begun_late = self._after != _NOBODY
            has_more = is_cut or len(whose) >= statements.MOST_ORGANIZATIONS
            self._after = max(whose) if rows and has_more else _NOBODY
            if rows or not has_begun_late:
                return list(rows)

    def _shared(
        self, rows: list[asyncpg.Record], now: float
    ) -> tuple[list[asyncpg.Record], list[int]]:
        """Return the rows within their organizations' shares, and the positions of the others."""
        if self.lane.is_bulk:
            return rows, []
        within, excess = [], []
        for row in rows:
            if self.relay.shares.take(row["org_id"], len(row["body"]), now):
                within.append(row)
            else:
                excess.append(row["position"])
        return within, excess

    def _publishing(
        self,
        rows: Sequence[asyncpg.Record],
        exchange: AbstractExchange,
        direct: AbstractExchange,
    ) -> _Batch:
        """Begin to publish a batch, in order."""
        crash_points.reach("relay.before-publish")
        publishing = [
            asyncio.ensure_future(self.relay.publish(row, exchange, direct)) for row in rows
        ]
        return _Batch(rows, publishing, asyncio.get_running_loop().time() + DEADLINE)

    async def _settle(self, database: asyncpg.Connection, batch: _Batch) -> None:
        """Mark what was confirmed, even where the rest was not.

        Raises:
            `broker.LOST`: the broker is lost, or does not confirm.
            asyncpg.PostgresError, asyncpg.InterfaceError: the database is lost, or does not answer.
        """
        outcomes = await batch.outcomes()
        crash_points.reach("relay.after-publish")
        sent = [
            at for at, outcome in zip(batch.positions, outcomes, strict=True) if outcome is None
        ]
        with _asking_the_database():
            await database.execute(statements.MARK, sent)
        crash_points.reach("relay.after-mark")
        lost: BaseException | None = None
        late: list[tuple[int, str, int, bool]] = []
        for row, outcome in zip(batch.rows, outcomes, strict=True):
            at = row["position"]
            if outcome is None:
                seconds = metrics.seconds_since(row["recorded_at"])
                metrics.RELAY.labels(self.lane.name).observe(seconds)
            elif isinstance(outcome, asyncio.CancelledError):
                lost = TimeoutError()
                late.append((at, UNCONFIRMED, _MOST_UNCONFIRMED, False))
            elif _is_broker_lost(outcome):
                lost = outcome
            else:
                reason = type(outcome).__name__
                late.append((at, reason, _MOST_UNDELIVERABLE, reason != REFUSED))
        if late:
            await self._postpone(database, late)
        if lost is not None:
            raise lost

    async def _postpone(
        self, database: asyncpg.Connection, late: Sequence[tuple[int, str, int, bool]]
    ) -> None:
        """Put rows off or park them, and say so: a line for many."""
        with _asking_the_database():
            rows = await database.fetch(statements.POSTPONE, *map(list, zip(*late, strict=True)))
        told = Counter(
            (row["is_parked"], row["type"], row["error"])
            for row in rows
            if row["error"] != UNCONFIRMED
        )
        examples = {(row["is_parked"], row["type"], row["error"]): row["event_id"] for row in rows}
        for kind, count in told.items():
            is_parked, event_type, error = kind
            log.error(
                "relay.parked" if is_parked else "relay.undeliverable",
                type=event_type,
                error=error,
                count=count,
                event_id=str(examples[kind]),
            )


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
