"""Consume a queue: each event once in effect, a failure never acknowledged away.

By hand, because the ready-made ways lose messages (L2, L8): acknowledged only after the handler's
commit; a failing event goes to the retry queue and, after `ATTEMPTS`, to the dead-letter queue with
its reason. Counting a failure takes the database: while that is away, the message is simply held.
Told to stop, it sees through what is in hand (F26); what does not end in time is not answered, so that
the broker delivers it again (L2).
"""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import aio_pika
import sqlalchemy as sa
import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from opentelemetry.trace import SpanKind
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.envelope import Event
from bailiwick_kit import crash_points, inbox, metrics, trace
from bailiwick_kit.broker import DEADLINE, LOST, RECONNECT_AFTER, open_channel
from bailiwick_kit.database import Database
from bailiwick_kit.logs import without_values
from bailiwick_kit.messages import (
    Envelope,
    UnreadableMessageError,
    copy_of,
    from_message,
    told_of,
)
from bailiwick_kit.outages import is_outage
from bailiwick_kit.topology import dead_queue, retry_queue

log = structlog.get_logger(__name__)

ATTEMPTS = 5
PREFETCH = 32
UNCOUNTED_AFTER = 5.0
"""Seconds of rest before a failure is counted that could not be, by a fault of ours."""

Handler = Callable[[AsyncConnection, Event], Awaitable[None]]
"""Applies one event in the open transaction, whose organization is the event's."""
KeyedHandler = Callable[[AsyncConnection, Event, UUID], Awaitable[None]]
"""The same, and is told the event's id: for effects that are kept by it (D14)."""


class PoisonError(Exception):
    """An event that no retry will mend: it goes to the dead-letter queue at once."""


@dataclass
class Consumer:
    """Feeds one queue's events to their handlers, one at a time.

    `handlers` and `keyed` map an event class to its handler; `before` is called with each event
    outside any transaction, before its handler (a replica repairs a gap there). Together they have
    `deadline` seconds; after that the attempt has failed. After `patience` seconds without a message
    it subscribes anew. Cancelled, it gives the event in hand `grace` seconds.
    """

    queue: str
    broker_url: str
    database: Database
    inbox: sa.Table
    handlers: Mapping[type[Event], Handler]
    before: Callable[[Event], Awaitable[None]] | None = None
    deadline: float = 30.0
    patience: float = 60.0
    grace: float = 5.0
    keyed: Mapping[type[Event], KeyedHandler] = field(default_factory=dict)

    def __post_init__(self) -> None:
        plain = {event: _without_id(handler) for event, handler in self.handlers.items()}
        self._by_type = {
            event.type: (event, handler) for event, handler in {**plain, **self.keyed}.items()
        }

    async def run(self) -> None:
        """Consume until cancelled, reconnecting whenever the broker is lost."""
        for outcome in ("applied", "repeated", "retried", "dead_lettered"):
            metrics.EVENTS.labels(self.queue, outcome)  # from 0 on, so that the first one is a rise
        while True:
            metrics.IN_HAND.set(0, self.queue)
            try:
                await self._session()
            except LOST as error:
                log.warning("consumer.interrupted", queue=self.queue, error=type(error).__name__)
            except Exception:  # a consumer that stops is an outage: report and go on
                log.exception("consumer.failed", queue=self.queue)
            await asyncio.sleep(RECONNECT_AFTER)

    async def _session(self) -> None:
        """Hold one connection and channel for as long as they last and messages come.

        After a while without any it ends, for the next to subscribe anew: a broker may lose a consumer
        without a word, when a queue was made anew or is without a leader (L1).
        """
        arrived: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()

        def end(*_: object) -> None:
            arrived.put_nowait(None)

        async with open_channel(self.broker_url, f"{self.queue} consumer") as channel:
            async with asyncio.timeout(DEADLINE):  # a queue without a leader never answers (L1)
                channel.close_callbacks.add(end)
                underlay = await channel.get_underlay_channel()
                underlay.on_consumer_cancel_callbacks.add(end)
                await channel.set_qos(prefetch_count=PREFETCH)
                queue = await channel.get_queue(self.queue, ensure=True)
                await queue.consume(arrived.put, no_ack=False)
            while True:
                try:
                    async with asyncio.timeout(self.patience):
                        message = await arrived.get()
                except TimeoutError:
                    return
                if message is None:
                    raise aio_pika.exceptions.ChannelInvalidStateError("channel or consumer ended")
                metrics.IN_HAND.since(time.monotonic(), self.queue)
                await self._see_through(channel, message)
                metrics.IN_HAND.set(0, self.queue)

    async def _see_through(
        self, channel: AbstractChannel, message: AbstractIncomingMessage
    ) -> None:
        taking = asyncio.ensure_future(self._take(channel, message))
        try:
            await asyncio.shield(taking)
        except asyncio.CancelledError:
            await asyncio.wait({taking}, timeout=self.grace)
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
            raise

    async def _take(self, channel: AbstractChannel, message: AbstractIncomingMessage) -> None:
        """See one message through: applied, put off or set aside; then, and only then, acknowledge."""
        try:
            envelope = from_message(message)
        except UnreadableMessageError as error:
            await self._set_aside(channel, message, None, _writable(f"unreadable: {error}"))
        else:
            of = told_of("process", self.queue, envelope.event_id, envelope.type)
            with trace.span(
                f"process {self.queue}", SpanKind.CONSUMER, of, parent=envelope.trace_parent
            ):
                await self._settle(channel, message, envelope)
        async with asyncio.timeout(DEADLINE):
            await message.ack()
        crash_points.reach("consumer.after-ack")

    async def _settle(
        self, channel: AbstractChannel, message: AbstractIncomingMessage, envelope: Envelope
    ) -> None:
        # Nobody says why it came back. If it takes the process down each time, this count is all
        # that ever stops it; one that waited behind it in the prefetch is not counted.
        if message.redelivered and await self._failed(envelope, "delivered again") > ATTEMPTS:
            await self._set_aside(channel, message, envelope, "takes its consumer down")
            return
        try:
            async with asyncio.timeout(self.deadline):
                await self._apply(envelope)
        except PoisonError as error:
            await self._set_aside(channel, message, envelope, _writable(str(error)))
        except Exception as error:  # whatever a handler raises, the queue goes on
            reason = _reason(error)
            trace.failed(error)
            if is_outage(error):
                log.warning("consumer.outage", queue=self.queue, error=type(error).__name__)
            else:
                log.exception("consumer.handler_failed", queue=self.queue, type=envelope.type)
            if await self._failed(envelope, reason) < ATTEMPTS:
                await self._publish(channel, message, retry_queue(self.queue), reason)
                self._note("retried")
            else:
                await self._set_aside(channel, message, envelope, reason)

    async def _apply(self, envelope: Envelope) -> None:
        known = self._by_type.get(envelope.type)
        if known is None:
            raise PoisonError(f"unknown type {envelope.type}")
        event_class, handler = known
        try:
            event = event_class.model_validate_json(envelope.body)
        except ValidationError as error:
            raise PoisonError(
                f"invalid: {error.error_count()} errors, first {error.errors()[0]['loc']}"
            ) from error
        if self.before is not None:
            await self.before(event)
        crash_points.reach("consumer.before-transaction")
        async with self.database.writing(event.org_id) as connection:
            is_first = await inbox.is_first(
                connection, self.inbox, envelope.event_id, envelope.type
            )
            if is_first:
                await handler(connection, event, envelope.event_id)
            crash_points.reach("consumer.before-commit")
        self._count(envelope, "applied" if is_first else "repeated")
        crash_points.reach("consumer.after-commit")

    def _note(self, outcome: str) -> None:
        metrics.EVENTS.labels(self.queue, outcome).inc()
        trace.note("outcome", outcome)

    def _count(self, envelope: Envelope, outcome: str) -> None:
        self._note(outcome)
        if outcome == "applied" and envelope.time is not None:
            lag = metrics.seconds_since(envelope.time)
            metrics.CONSUMER_LAG.labels(self.queue).observe(lag)

    async def _failed(self, envelope: Envelope, reason: str) -> int:
        """Count a failure of our own (L5), as soon as the database counts it.

        Whatever keeps it from that, the message is held: given back again and again, it and all that
        were fetched with it would reach the broker's limit of deliveries, and be set aside.
        """
        while True:
            try:
                async with self.database.writing(None) as connection:
                    return await inbox.count_failure(
                        connection, self.inbox, envelope.event_id, _writable(envelope.type), reason
                    )
            except Exception as error:
                if is_outage(error):
                    log.warning("consumer.database_away", queue=self.queue)
                    await asyncio.sleep(RECONNECT_AFTER)
                else:
                    log.exception(
                        "consumer.not_counted",
                        queue=self.queue,
                        type=envelope.type,
                        event_id=str(envelope.event_id),
                    )
                    await asyncio.sleep(UNCOUNTED_AFTER)

    async def _set_aside(
        self,
        channel: AbstractChannel,
        message: AbstractIncomingMessage,
        envelope: Envelope | None,
        reason: str,
    ) -> None:
        """Put a message where an operator finds it; replayed, it has all its attempts again."""
        await self._publish(channel, message, dead_queue(self.queue), reason)
        self._note("dead_lettered")
        log.error("consumer.dead_lettered", queue=self.queue, type=message.type, reason=reason)
        if envelope is not None:
            async with self.database.writing(None) as connection:
                await inbox.forget_failures(connection, self.inbox, envelope.event_id)

    async def _publish(
        self, channel: AbstractChannel, message: AbstractIncomingMessage, queue: str, reason: str
    ) -> None:
        """Publish a copy to another queue, confirmed, before the original is acknowledged."""
        copy = copy_of(message, queue=self.queue, reason=reason)
        async with asyncio.timeout(DEADLINE):
            await channel.default_exchange.publish(copy, queue, mandatory=True)


def _without_id(handler: Handler) -> KeyedHandler:
    async def handle(connection: AsyncConnection, event: Event, _: UUID) -> None:
        await handler(connection, event)

    return handle


def _reason(error: Exception) -> str:
    """Say what failed in one line: the lines after it may show rows, and with them personal data."""
    first = without_values(next(iter(str(error).splitlines()), ""))
    return _writable(f"{type(error).__name__}: {first}"[:500])


def _writable(words: str) -> str:
    """Return words as database and broker take them: what cannot be written down would never be counted."""
    spaced = (" " if one.isspace() else one for one in words)
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) in {"Cc", "Cs"} else one
        for one in spaced
    )
