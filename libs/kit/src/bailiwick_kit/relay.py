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
from aio_pika.exceptions import DeliveryError

from bailiwick_kit import faults
from bailiwick_kit.messages import to_message
from bailiwick_kit.wake import CHANNEL, plain_dsn

log = structlog.get_logger(__name__)

BATCH = 500
PUBLISH_DEADLINE = 5.0
"""Seconds within which a batch is confirmed, or the connection is given up (L7)."""
POLL = 0.5
"""Seconds between looks when nothing wakes the relay."""
_LOCK = "hashtext('bailiwick.relay')"

_UNSENT = """
    SELECT position, event_id, org_id, subject, type, body, trace_parent, recipient, recorded_at
    FROM outbox WHERE sent_at IS NULL AND (retry_at IS NULL OR retry_at <= now())
    ORDER BY position LIMIT $1
"""
_MARK = "UPDATE outbox SET sent_at = now(), error = NULL WHERE position = ANY($1::bigint[])"
_POSTPONE = """
    UPDATE outbox SET attempts = attempts + 1, error = $2,
           retry_at = now() + least(60, power(2, least(attempts, 6))) * interval '1 second'
    WHERE position = $1
"""


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
        pause = 0.2
        while True:
            try:
                await self._session()
                pause = 0.2
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("relay.interrupted", error=type(error).__name__)
            except aio_pika.exceptions.AMQPError as error:
                log.warning("relay.broker_lost", error=type(error).__name__)
            except Exception:  # a relay that stops is an outage: report and go on
                log.exception("relay.failed")
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 2)

    async def _session(self) -> None:
        """Hold the lock and the broker for as long as both last."""
        database = await asyncpg.connect(
            plain_dsn(self.database_url),
            timeout=5,
            command_timeout=15,
            server_settings={"application_name": f"{self.source}-relay"},
        )
        try:
            while not await database.fetchval(f"SELECT pg_try_advisory_lock({_LOCK})"):
                await asyncio.sleep(1)
            woken = asyncio.Event()
            await database.add_listener(CHANNEL, lambda *_: woken.set())
            broker = await aio_pika.connect(self.broker_url, timeout=5)
            try:
                channel = await broker.channel(publisher_confirms=True, on_return_raises=True)
                exchange = await channel.get_exchange(self.exchange, ensure=True)
                await self._drain(database, channel, exchange, woken)
            finally:
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(broker.close(), 2)
        finally:
            with contextlib.suppress(Exception):
                await database.close(timeout=2)

    async def _drain(
        self,
        database: asyncpg.Connection,
        channel: AbstractChannel,
        exchange: AbstractExchange,
        woken: asyncio.Event,
    ) -> None:
        while True:
            woken.clear()
            rows = await database.fetch(_UNSENT, BATCH)
            if rows:
                await self._send(database, rows, exchange, channel.default_exchange)
            if len(rows) < BATCH:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), POLL)
                if channel.is_closed:
                    raise aio_pika.exceptions.ChannelInvalidStateError("channel closed")

    async def _send(
        self,
        database: asyncpg.Connection,
        rows: Sequence[asyncpg.Record],
        exchange: AbstractExchange,
        direct: AbstractExchange,
    ) -> None:
        """Publish a batch in order; mark what was confirmed even where a part of it was not."""
        faults.reach("relay.before-publish")
        async with asyncio.timeout(PUBLISH_DEADLINE):
            outcomes = await asyncio.gather(
                *(self._publish(row, exchange, direct) for row in rows), return_exceptions=True
            )
        faults.reach("relay.after-publish")
        sent = [
            row["position"] for row, outcome in zip(rows, outcomes, strict=True) if outcome is None
        ]
        if sent:
            await database.execute(_MARK, sent)
        faults.reach("relay.after-mark")
        for row, outcome in zip(rows, outcomes, strict=True):
            if isinstance(outcome, DeliveryError):
                log.error("relay.undeliverable", type=row["type"], event_id=str(row["event_id"]))
                await database.execute(_POSTPONE, row["position"], type(outcome).__name__)
            elif outcome is not None:
                raise outcome

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
