"""The relay: takes unsent rows from the outbox to the broker, and marks a row sent on its confirm only.

One is active per database, held by an advisory lock; others stand by (D14). It never concludes from a
time-out that a message was not delivered (L6): the row goes again, with the same event id. A message
that is returned although somebody should be listening waits and holds up no other (D16).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import aio_pika
import asyncpg
import structlog
from aio_pika.abc import AbstractChannel, AbstractExchange
from aio_pika.exceptions import AMQPError, DeliveryError

from bailiwick_kit import crash_points
from bailiwick_kit.broker import DEADLINE, RECONNECT_AFTER, open_channel
from bailiwick_kit.messages import to_message
from bailiwick_kit.wake import CHANNEL, plain_dsn

log = structlog.get_logger(__name__)

BATCH = 500
POLL = 0.5
"""Seconds between looks when nothing wakes the relay."""
_STAND_BY = 1.0
"""Seconds between tries of one that stands by."""
_SETTINGS = {
    # An active relay asks every half second: one that is frozen or cut off loses its lock by this.
    "idle_session_timeout": "30s",
    "statement_timeout": "10s",
}
_LOCK = "SELECT pg_try_advisory_lock(hashtext('bailiwick.relay'))"

_UNSENT = """
    SELECT position, event_id, org_id, subject, type, body, trace_parent, recipient, recorded_at
    FROM outbox WHERE sent_at IS NULL AND (retry_at IS NULL OR retry_at <= now())
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
            except (OSError, TimeoutError, AMQPError) as error:
                log.warning("relay.interrupted", error=type(error).__name__)
            except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("relay.interrupted", error=type(error).__name__)
            except Exception:  # a relay that stops is an outage: report and go on
                log.exception("relay.failed")
            await asyncio.sleep(RECONNECT_AFTER)

    async def _session(self) -> None:
        """Hold the lock and the broker for as long as both last."""
        database = await asyncpg.connect(
            plain_dsn(self.database_url),
            timeout=5,
            command_timeout=15,
            server_settings={**_SETTINGS, "application_name": f"{self.source}-relay"},
        )
        try:
            while not await database.fetchval(_LOCK):  # noqa: ASYNC110 - another process holds it
                await asyncio.sleep(_STAND_BY)
            woken = asyncio.Event()
            await database.add_listener(CHANNEL, lambda *_: woken.set())
            async with open_channel(self.broker_url, f"{self.source} relay") as channel:
                await self._drain(database, channel, woken)
        finally:
            with contextlib.suppress(Exception):
                await database.close(timeout=2)

    async def _drain(
        self, database: asyncpg.Connection, channel: AbstractChannel, woken: asyncio.Event
    ) -> None:
        async with asyncio.timeout(DEADLINE):
            exchange = await channel.get_exchange(self.exchange, ensure=True)
        # One row first: a broker that takes connections and then does not read is tried with one
        # message each time, not with hundreds that it would deliver again later.
        limit = 1
        while True:
            woken.clear()
            rows = await database.fetch(_UNSENT, limit)
            if rows:
                await self._send(database, rows, exchange, channel.default_exchange)
            if len(rows) == limit:
                limit = BATCH
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await woken.wait()
            if channel.is_closed:
                raise aio_pika.exceptions.ChannelInvalidStateError("channel closed")

    async def _send(
        self,
        database: asyncpg.Connection,
        rows: Sequence[asyncpg.Record],
        exchange: AbstractExchange,
        direct: AbstractExchange,
    ) -> None:
        """Publish a batch in order; mark what was confirmed even where the rest was not.

        Raises:
            TimeoutError, AMQPError, OSError: the broker is lost, or does not confirm.
        """
        crash_points.reach("relay.before-publish")
        publishing = [asyncio.ensure_future(self._publish(row, exchange, direct)) for row in rows]
        try:
            await asyncio.wait(publishing, timeout=DEADLINE)
        finally:
            for one in publishing:
                one.cancel()
            outcomes = await asyncio.gather(*publishing, return_exceptions=True)
        crash_points.reach("relay.after-publish")
        positions = [row["position"] for row in rows]
        sent = [at for at, outcome in zip(positions, outcomes, strict=True) if outcome is None]
        await database.execute(_MARK, sent)
        crash_points.reach("relay.after-mark")
        lost: BaseException | None = None
        late: list[tuple[int, str, int]] = []
        for row, outcome in zip(rows, outcomes, strict=True):
            if isinstance(outcome, asyncio.CancelledError):
                lost = TimeoutError()
                late.append((row["position"], "unconfirmed", _MOST_UNCONFIRMED))
            elif _is_broker_lost(outcome):
                lost = outcome
            elif outcome is not None:
                reason = type(outcome).__name__
                late.append((row["position"], reason, _MOST_UNDELIVERABLE))
                log.error(
                    "relay.undeliverable",
                    type=row["type"],
                    event_id=str(row["event_id"]),
                    error=reason,
                )
        if late:
            await database.execute(_POSTPONE, *map(list, zip(*late, strict=True)))
        if lost is not None:
            raise lost

    async def _publish(
        self, row: asyncpg.Record, exchange: AbstractExchange, direct: AbstractExchange
    ) -> None:
        message = to_message(
            event_id=row["event_id"],
            event_type=row["type"],
            source=f"/{self.source}",
            subject=row["subject"],
            time=row["recorded_at"],
            body=row["body"],
            trace_parent=row["trace_parent"],
        )
        if row["recipient"] is not None:
            await direct.publish(message, row["recipient"], mandatory=True)
        else:
            mandatory = row["type"] in self.bound
            await exchange.publish(message, f"{row['type']}.{row['org_id']}", mandatory=mandatory)


def _is_broker_lost(outcome: BaseException | None) -> bool:
    """Tell a lost broker from a row that cannot be delivered."""
    is_lost = isinstance(outcome, AMQPError | OSError | TimeoutError)
    return is_lost and not isinstance(outcome, DeliveryError)
