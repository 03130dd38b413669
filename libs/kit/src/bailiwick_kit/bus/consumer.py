"""Consume a queue: each event once in effect, a failure never acknowledged away.

By hand, because the ready-made ways lose messages (T2, T8): acknowledged only after the handler's
commit; a failing event goes to the retry queue and, after `ATTEMPTS`, to the dead-letter queue with
its reason. Counting a failure takes the database: while that is away, the message is simply held.
Told to stop, it sees through what is in hand (F26); what does not end in time is not answered, so that
the broker delivers it again (T2).

What has arrived of one organization is handled together, in one transaction; some organizations are
handled at once, so that one whose events take long holds up no other. If a transaction of many fails, it
counts for none of them: each is then handled by itself.
"""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from uuid import UUID

import aio_pika
import sqlalchemy as sa
import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from opentelemetry.trace import Span, SpanKind

from bailiwick_contracts.envelope import Event
from bailiwick_kit import crash_points
from bailiwick_kit.bus import inbox
from bailiwick_kit.bus.backlog import Backlog, Delivery
from bailiwick_kit.bus.broker import DEADLINE, LOST, RECONNECT_AFTER, open_channel
from bailiwick_kit.bus.handling import Applying, Handler, PoisonError
from bailiwick_kit.bus.held import Held
from bailiwick_kit.bus.messages import (
    Envelope,
    UnreadableMessageError,
    copy_of,
    from_message,
    told_of,
)
from bailiwick_kit.bus.topology import dead_queue, direct_exchange, retry_queue, service_of
from bailiwick_kit.database.engine import Database
from bailiwick_kit.telemetry import metrics, trace
from bailiwick_kit.telemetry.logs import without_values
from bailiwick_kit.transient_errors import is_outage

log = structlog.get_logger(__name__)

ATTEMPTS = 5
AT_ONCE = 3
"""Organizations whose events are handled at the same time, by one consumer: a connection each."""
UNCOUNTED_AFTER = 5.0
"""Seconds of rest before a failure is counted that could not be, by a fault of ours."""


@dataclass
class Consumer:
    """Feeds one queue's events to their handlers, many of one organization at a time.

    `handlers` maps an event class to its handler, which is told all events that are its own at once,
    whatever their class. It has `deadline` seconds; after that the attempt has failed. After
    `patience` seconds without a message it subscribes anew. Cancelled, it gives the events in hand
    `grace` seconds.
    """

    queue: str
    broker_url: str
    database: Database
    inbox: sa.Table
    handlers: Mapping[type[Event], Handler]
    deadline: float = 30.0
    patience: float = 60.0
    grace: float = 5.0
    _in_hand: dict[asyncio.Task[None], tuple[UUID | None, float]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        self._held = Held()
        self._applying = Applying(self.database, self.inbox, self.handlers)

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
        without a word, when a queue was made anew or is without a leader (T1).
        """
        arrived: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()

        def end(*_: object) -> None:
            arrived.put_nowait(None)

        async def take(message: AbstractIncomingMessage) -> None:
            was_full = self._held.is_full
            if self._held.take(message.body):
                arrived.put_nowait(message)
            elif not was_full:
                log.info("consumer.full", queue=self.queue, prefetch=self._held.prefetch)
                end()

        self._held.begin()
        async with open_channel(self.broker_url, f"{self.queue} consumer") as channel:
            async with asyncio.timeout(DEADLINE):  # a queue without a leader never answers (T1)
                channel.close_callbacks.add(end)
                underlay = await channel.get_underlay_channel()
                underlay.on_consumer_cancel_callbacks.add(end)
                await channel.set_qos(prefetch_count=self._held.prefetch)
                queue = await channel.get_queue(self.queue, ensure=True)
                await queue.consume(take, no_ack=False)
            try:
                await self._feed(channel, arrived)
                self._held.rest()
            except asyncio.CancelledError:
                await self._end_what_is_in_hand(self.grace)
                raise
            except Exception:
                await self._end_what_is_in_hand(self.deadline)
                raise

    async def _feed(
        self, channel: AbstractChannel, arrived: asyncio.Queue[AbstractIncomingMessage | None]
    ) -> None:
        """Hand out what arrives; return when nothing has for `patience` seconds."""
        backlog = Backlog()
        coming = asyncio.ensure_future(arrived.get())
        try:
            while True:
                done, _ = await asyncio.wait(
                    {coming, *self._in_hand},
                    timeout=self.patience,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not done and not self._in_hand:
                    return
                for task in [task for task in self._in_hand if task in done]:
                    backlog.done(self._in_hand.pop(task)[0])
                    task.result()
                if coming in done:
                    await self._sort_in(channel, backlog, [coming.result(), *_rest_of(arrived)])
                    coming = asyncio.ensure_future(arrived.get())
                self._begin(channel, backlog)
        finally:
            coming.cancel()

    async def _sort_in(
        self,
        channel: AbstractChannel,
        backlog: Backlog,
        messages: Iterable[AbstractIncomingMessage | None],
    ) -> None:
        for message in messages:
            if message is None:
                raise aio_pika.exceptions.ChannelInvalidStateError("channel or consumer ended")
            try:
                backlog.add(Delivery(message, from_message(message)))
            except UnreadableMessageError as error:
                await self._set_aside(channel, message, None, _writable(f"unreadable: {error}"))
                await self._acknowledge([message])

    def _begin(self, channel: AbstractChannel, backlog: Backlog) -> None:
        """Begin with as many organizations as there is room for."""
        while len(self._in_hand) < AT_ONCE and (taken := backlog.take()):
            whose, deliveries = taken
            task = asyncio.ensure_future(self._see_to(channel, deliveries))
            self._in_hand[task] = whose, time.monotonic()
        if self._in_hand:
            oldest = min(began for _, began in self._in_hand.values())
            metrics.IN_HAND.since(oldest, self.queue)
        else:
            metrics.IN_HAND.set(0, self.queue)

    async def _end_what_is_in_hand(self, within: float) -> None:
        tasks = list(self._in_hand)
        self._in_hand.clear()
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=within)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _see_to(self, channel: AbstractChannel, deliveries: Sequence[Delivery]) -> None:
        """See deliveries through: applied, put off or set aside; then, and only then, acknowledge."""
        innocent = await self._innocent(deliveries)
        together = [one for one in deliveries if one.envelope.event_id in innocent]
        if len(together) > 1 and await self._applied_together(together):
            await self._acknowledge([one.message for one in together])
            deliveries = [one for one in deliveries if one.envelope.event_id not in innocent]
        for one in deliveries:
            of = self._told_of(one.envelope)
            parent = one.envelope.trace_parent
            with trace.span(f"process {self.queue}", SpanKind.CONSUMER, of, parent=parent):
                await self._settle(channel, one, is_counted=one.envelope.event_id in innocent)
            await self._acknowledge([one.message])

    async def _innocent(self, deliveries: Sequence[Delivery]) -> frozenset[UUID]:
        """Return which have not come back twice, and count those that come back for the first time.

        Nobody says why a message came back. If one takes the process down each time, its count is all
        that ever stops it: what has come back twice is therefore handled by itself, and counted right
        before that. What waited behind it in the prefetch is then not counted.
        """
        ids = frozenset(one.envelope.event_id for one in deliveries)
        again = {
            one.envelope.event_id: _writable(one.envelope.type)
            for one in deliveries
            if one.message.redelivered
        }
        if not again:
            return ids
        try:
            async with self.database.writing(None) as connection:
                counted = await inbox.count_first_failures(
                    connection, self.inbox, again, "delivered again"
                )
        except Exception as error:
            if not is_outage(error):
                log.exception("consumer.not_counted", queue=self.queue)
            counted = frozenset()  # each by itself, and counted until that succeeds
        return ids - again.keys() | counted

    async def _acknowledge(self, messages: Sequence[AbstractIncomingMessage]) -> None:
        async with asyncio.timeout(DEADLINE):
            for message in messages:
                await message.ack()
                self._held.release(message.body)
        crash_points.reach("consumer.after-ack")

    async def _applied_together(self, deliveries: Sequence[Delivery]) -> bool:
        """Apply events in one transaction; false where that failed, and nothing was counted."""
        try:
            async with asyncio.timeout(self.deadline):
                with ExitStack() as stack:
                    spans = [self._span_of(one.envelope, stack) for one in deliveries]
                    received = [
                        self._applying.read(one.envelope, trace.parent_of(span))
                        for one, span in zip(deliveries, spans, strict=True)
                    ]
                    applied = set(await self._applying.apply(received))
                    for one, span in zip(deliveries, spans, strict=True):
                        self._count(one.envelope, span, applied)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported of whom it fails again
            log.warning("consumer.apart", queue=self.queue, error=type(error).__name__)
            return False
        return True

    def _span_of(self, envelope: Envelope, stack: ExitStack) -> Span:
        return stack.enter_context(
            trace.span_of_many(
                f"process {self.queue}",
                SpanKind.CONSUMER,
                self._told_of(envelope),
                parent=envelope.trace_parent,
            )
        )

    def _told_of(self, envelope: Envelope) -> dict[str, str]:
        return told_of("process", self.queue, envelope.event_id, envelope.type)

    async def _settle(
        self, channel: AbstractChannel, delivery: Delivery, *, is_counted: bool
    ) -> None:
        message, envelope = delivery.message, delivery.envelope
        is_back = message.redelivered and not is_counted
        if is_back and await self._failed(envelope, "delivered again") > ATTEMPTS:
            await self._set_aside(channel, message, envelope, "takes its consumer down")
            return
        try:
            async with asyncio.timeout(self.deadline):
                await self._apply_one(envelope)
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

    async def _apply_one(self, envelope: Envelope) -> None:
        received = self._applying.read(envelope, trace.trace_parent())
        self._count(envelope, trace.here(), set(await self._applying.apply([received])))

    def _note(self, outcome: str, of: Span | None = None) -> None:
        metrics.EVENTS.labels(self.queue, outcome).inc()
        trace.note("outcome", outcome, of)

    def _count(self, envelope: Envelope, span: Span, applied: set[UUID]) -> None:
        """Count a delivery: an event that came twice at once is applied once, and repeated once."""
        if envelope.event_id not in applied:
            self._note("repeated", span)
            return
        applied.remove(envelope.event_id)
        self._note("applied", span)
        if envelope.time is not None:
            lag = metrics.seconds_since(envelope.time)
            metrics.CONSUMER_LAG.labels(self.queue).observe(lag)

    async def _failed(self, envelope: Envelope, reason: str) -> int:
        """Count a failure of our own (T5), as soon as the database counts it.

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
            exchange = await channel.get_exchange(
                direct_exchange(service_of(self.queue)), ensure=False
            )
            await exchange.publish(copy, queue, mandatory=True)


def _rest_of(
    arrived: asyncio.Queue[AbstractIncomingMessage | None],
) -> list[AbstractIncomingMessage | None]:
    """Take what is there by now."""
    return [arrived.get_nowait() for _ in range(arrived.qsize())]


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
