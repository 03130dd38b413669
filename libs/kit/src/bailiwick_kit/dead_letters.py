"""What an operator does with dead letters: list, show, replay, drop.

Listing looks at messages without taking them: they return to the queue when the channel closes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from bailiwick_kit.topology import dead_queue

LOOKED_AT = 1000
"""How many dead letters of a queue one command looks at."""


@dataclass(frozen=True)
class DeadLetter:
    """A message that could not be handled, and why."""

    event_id: str
    type: str
    reason: str
    subject: str
    body: bytes


class DeadLetters:
    """The dead letters of one consumer's queue."""

    def __init__(self, broker_url: str, queue: str) -> None:
        self._broker_url = broker_url
        self._queue = queue

    async def list(self) -> list[DeadLetter]:
        """Return the dead letters, oldest first, leaving them where they are."""
        async with self._channel() as channel:
            return [_letter(message) async for message in self._messages(channel)]

    async def replay(self, event_id: str | None = None) -> int:
        """Put one dead letter, or all, back into its queue; return how many."""
        return await self._take(event_id, back=True)

    async def drop(self, event_id: str) -> int:
        """Delete one dead letter for good; return how many were deleted."""
        return await self._take(event_id, back=False)

    async def _take(self, event_id: str | None, *, back: bool) -> int:
        taken = 0
        async with self._channel() as channel:
            async for message in self._messages(channel):
                if event_id not in (None, _letter(message).event_id):
                    continue
                if back:
                    headers = {
                        k: v for k, v in message.headers.items() if not k.startswith("bailiwick-")
                    }
                    copy = aio_pika.Message(
                        message.body,
                        headers=headers,
                        content_type=message.content_type,
                        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                        message_id=message.message_id,
                        type=message.type,
                    )
                    await channel.default_exchange.publish(
                        copy, self._queue, mandatory=True, timeout=5
                    )
                await message.ack()
                taken += 1
        return taken

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[AbstractChannel]:
        connection = await aio_pika.connect(self._broker_url, timeout=5)
        async with connection:
            yield await connection.channel(publisher_confirms=True, on_return_raises=True)

    async def _messages(self, channel: AbstractChannel) -> AsyncIterator[AbstractIncomingMessage]:
        queue = await channel.get_queue(dead_queue(self._queue), ensure=True)
        for _ in range(LOOKED_AT):
            message = await queue.get(no_ack=False, fail=False, timeout=5)
            if message is None:
                return
            yield message


def _letter(message: AbstractIncomingMessage) -> DeadLetter:
    headers = message.headers
    return DeadLetter(
        event_id=str(message.message_id or ""),
        type=str(message.type or ""),
        reason=str(
            headers.get("bailiwick-reason") or headers.get("x-first-death-reason") or "unknown"
        ),
        subject=str(headers.get("ce-subject") or ""),
        body=message.body,
    )
