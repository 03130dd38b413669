"""What an operator does with dead letters: list, show, replay, drop.

Listing looks at messages without taking them: they return to the queue when the channel closes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from bailiwick_contracts.envelope import bulk
from bailiwick_kit.bus.broker import DEADLINE, open_channel
from bailiwick_kit.bus.messages import NOTE, copy_of
from bailiwick_kit.bus.topology import dead_queue, direct_exchange, service_of

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
    """The dead letters of one consumer's queue, and of the one for bulk beside it."""

    def __init__(self, broker_url: str, queue: str) -> None:
        self._broker_url = broker_url
        self._queue = queue
        self._name = f"{queue} dead letters"

    async def list(self) -> list[DeadLetter]:
        """Return the dead letters, oldest first, leaving them where they are."""
        async with open_channel(self._broker_url, self._name) as channel:
            return [_letter(message) async for message in self._messages(channel)]

    async def replay(self, event_id: str | None = None) -> int:
        """Put one dead letter, or all, back into its queue; return how many."""
        return await self._take(event_id, back=True)

    async def drop(self, event_id: str) -> int:
        """Delete one dead letter for good; return how many were deleted."""
        return await self._take(event_id, back=False)

    async def _take(self, event_id: str | None, *, back: bool) -> int:
        taken = 0
        async with open_channel(self._broker_url, self._name) as channel:
            exchange = await channel.get_exchange(
                direct_exchange(service_of(self._queue)), ensure=False
            )
            async for message in self._messages(channel):
                if event_id not in (None, _letter(message).event_id):
                    continue
                async with asyncio.timeout(DEADLINE):
                    if back:
                        queue = self._origin(message)
                        await exchange.publish(copy_of(message), queue, mandatory=True)
                    await message.ack()
                taken += 1
        return taken

    def _origin(self, message: AbstractIncomingMessage) -> str:
        """Return the queue that a dead letter came from: what was bulk stays beside the rest."""
        headers = message.headers
        told = headers.get(f"{NOTE}queue") or headers.get("x-first-death-queue")
        return bulk(self._queue) if told == bulk(self._queue) else self._queue

    async def _messages(self, channel: AbstractChannel) -> AsyncIterator[AbstractIncomingMessage]:
        """Take those that are there now, not those that come back while we replay."""
        queue = await channel.declare_queue(dead_queue(self._queue), passive=True, timeout=DEADLINE)
        for _ in range(min(LOOKED_AT, queue.declaration_result.message_count or 0)):
            message = await queue.get(no_ack=False, fail=False, timeout=DEADLINE)
            if message is None:
                return
            yield message


def _letter(message: AbstractIncomingMessage) -> DeadLetter:
    headers = message.headers
    return DeadLetter(
        # What is no event of ours may have no id: it gets one that is the same at every look.
        event_id=str(message.message_id or hashlib.sha256(message.body).hexdigest()[:32]),
        type=str(message.type or "unknown"),
        reason=str(
            headers.get(f"{NOTE}reason") or headers.get("x-first-death-reason") or "unknown"
        ),
        subject=str(headers.get("ce-subject") or ""),
        body=message.body,
    )
