"""Consume a queue: each event once in effect, a failure never acknowledged away.

By hand, because the ready-made ways lose messages (L2, L8): acknowledged only after the handler's
commit; a failing event goes to the retry queue and, after `ATTEMPTS`, to the dead-letter queue with
its reason; while the database is away the message is simply held. Cancelling answers nothing, so that
the broker delivers again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aio_pika
import sqlalchemy as sa
import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.envelope import Event
from bailiwick_kit import faults
from bailiwick_kit.database import Database
from bailiwick_kit.inbox import count_failure, is_first
from bailiwick_kit.messages import Envelope, UnreadableMessageError, from_message
from bailiwick_kit.outages import is_outage
from bailiwick_kit.topology import dead_queue, retry_queue

log = structlog.get_logger(__name__)

ATTEMPTS = 5
HANDLER_DEADLINE = 30.0
"""Seconds after which a handler counts as failed."""
PREFETCH = 32

Handler = Callable[[AsyncConnection, Event], Awaitable[None]]
"""Applies one event in the open transaction, whose organization is the event's."""


class PoisonError(Exception):
    """An event that no retry will mend: it goes to the dead-letter queue at once."""


@dataclass
class Consumer:
    """Feeds one queue's events to their handlers, one at a time.

    `handlers` maps an event class to its handler; `before` is called with each event outside any
    transaction, before its handler (a replica repairs a gap there).
    """

    queue: str
    broker_url: str
    database: Database
    inbox: sa.Table
    handlers: Mapping[type[Event], Handler]
    before: Callable[[Event], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        self._by_type = {event.type: (event, handler) for event, handler in self.handlers.items()}

    async def run(self) -> None:
        """Consume until cancelled, reconnecting whenever the broker is lost."""
        pause = 0.2
        while True:
            try:
                await self._session()
            except (OSError, TimeoutError, aio_pika.exceptions.AMQPError) as error:
                log.warning("consumer.broker_lost", queue=self.queue, error=type(error).__name__)
            except Exception:  # a consumer that stops is an outage: report and go on
                log.exception("consumer.failed", queue=self.queue)
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 2)

    async def _session(self) -> None:
        """Hold one connection and channel for as long as they last."""
        connection = await aio_pika.connect(self.broker_url, timeout=5)
        try:
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            await channel.set_qos(prefetch_count=PREFETCH)
            queue = await channel.get_queue(self.queue, ensure=True)
            arrived: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()
            channel.close_callbacks.add(lambda *_: arrived.put_nowait(None))
            await queue.consume(arrived.put, no_ack=False)
            while (message := await arrived.get()) is not None:
                await self._take(channel, message)
            raise aio_pika.exceptions.ChannelInvalidStateError("channel closed")
        finally:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(connection.close(), 2)

    async def _take(self, channel: AbstractChannel, message: AbstractIncomingMessage) -> None:
        """See one message through: applied, put off or set aside; then, and only then, acknowledge."""
        try:
            envelope = from_message(message)
        except UnreadableMessageError as error:
            await self._set_aside(channel, message, dead_queue(self.queue), f"unreadable: {error}")
        else:
            await self._settle(channel, message, envelope)
        await message.ack()
        faults.reach("consumer.after-ack")

    async def _settle(
        self, channel: AbstractChannel, message: AbstractIncomingMessage, envelope: Envelope
    ) -> None:
        if message.redelivered and await self._failed(envelope, "delivered again") > ATTEMPTS:
            # Nobody told us why it came back: most likely it takes the process down each time.
            await self._set_aside(channel, message, dead_queue(self.queue), "crashed its consumer")
            return
        try:
            await self._apply_when_possible(envelope)
        except PoisonError as error:
            await self._set_aside(channel, message, dead_queue(self.queue), str(error))
        except Exception as error:  # whatever a handler raises, the queue goes on
            reason = f"{type(error).__name__}: {error}"[:1000]
            log.exception("consumer.handler_failed", queue=self.queue, type=envelope.type)
            attempts = await self._failed(envelope, reason)
            target = dead_queue(self.queue) if attempts >= ATTEMPTS else retry_queue(self.queue)
            await self._set_aside(channel, message, target, reason)

    async def _apply_when_possible(self, envelope: Envelope) -> None:
        """Apply the event; hold it, unanswered, for as long as the database is away."""
        pause = 0.1
        while True:
            try:
                async with asyncio.timeout(HANDLER_DEADLINE):
                    await self._apply(envelope)
            except Exception as error:
                if not is_database_away(error):
                    raise
                log.warning("consumer.database_away", queue=self.queue)
                await asyncio.sleep(pause)
                pause = min(2.0, pause * 2)
            else:
                return

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
        faults.reach("consumer.before-transaction")
        async with self.database.writing(event.org_id) as connection:
            if await is_first(connection, self.inbox, envelope.event_id, envelope.type):
                await handler(connection, event)
            faults.reach("consumer.before-commit")
        faults.reach("consumer.after-commit")

    async def _failed(self, envelope: Envelope, reason: str) -> int:
        """Count a failure of our own (L5); while the database is away there is nothing to count."""
        while True:
            try:
                async with self.database.writing(None) as connection:
                    return await count_failure(
                        connection, self.inbox, envelope.event_id, envelope.type, reason
                    )
            except Exception as error:
                if not (is_database_away(error) or isinstance(error, TimeoutError)):
                    raise
                await asyncio.sleep(1)

    async def _set_aside(
        self, channel: AbstractChannel, message: AbstractIncomingMessage, queue: str, reason: str
    ) -> None:
        """Publish a copy to another queue, confirmed, before the original is acknowledged."""
        copy = aio_pika.Message(
            message.body,
            headers={**message.headers, "bailiwick-queue": self.queue, "bailiwick-reason": reason},
            content_type=message.content_type,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=message.message_id,
            type=message.type,
        )
        async with asyncio.timeout(5):
            await channel.default_exchange.publish(copy, queue, mandatory=True)
        if queue == dead_queue(self.queue):
            log.error("consumer.dead_lettered", queue=self.queue, type=message.type, reason=reason)


def is_database_away(error: Exception) -> bool:
    """Tell an outage, which passes by itself, from a handler that fails or takes too long."""
    return is_outage(error) and not isinstance(error, TimeoutError)
