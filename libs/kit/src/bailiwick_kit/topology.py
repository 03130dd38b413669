"""The broker's exchanges and queues, declared by `migrate` before any service starts (D16).

Never lazily: a quorum queue younger than a second can come back leaderless after a crash (L1).
Beside each consumer's queue there is one for bulk, bound to an exchange of its own (ADR 15). Each has a
retry queue that returns a message after a pause; both share a dead-letter queue, where an operator finds
what could not be handled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange
from aio_pika.exceptions import ChannelNotFoundEntity

from bailiwick_contracts.envelope import bulk
from bailiwick_kit.broker import DEADLINE, open_channel

RETRY_AFTER_MS = 1_000
"""How long a message rests in the retry queue, in milliseconds."""

_NEVER = 1_000_000
"""A delivery limit that looking at a message does not reach; brokers from 4.0 would set 20."""

_AT_LEAST_ONCE: dict[str, Any] = {
    "x-queue-type": "quorum",
    "x-dead-letter-exchange": "",
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}

_DEAD: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": _NEVER}


def retry_queue(queue: str) -> str:
    """Return the name of a queue's retry queue."""
    return f"{queue}.retry"


def dead_queue(queue: str) -> str:
    """Return the name of a queue's dead-letter queue: a queue and the one for bulk beside it share it."""
    return f"{queue.removesuffix(bulk(''))}.dead"


async def declare_exchange(channel: AbstractChannel, exchange: str) -> AbstractExchange:
    """Declare a topic exchange for events."""
    return await channel.declare_exchange(exchange, aio_pika.ExchangeType.TOPIC, durable=True)


async def _declare_queue(
    channel: AbstractChannel, exchange: str, queue: str, bindings: Sequence[str]
) -> None:
    """Declare a queue with its retry queue, and bind it; where its dead letters go is declared."""
    await channel.declare_queue(
        retry_queue(queue),
        durable=True,
        arguments={
            **_AT_LEAST_ONCE,
            "x-dead-letter-routing-key": queue,
            "x-message-ttl": RETRY_AFTER_MS,
        },
    )
    declared = await channel.declare_queue(
        queue,
        durable=True,
        arguments={
            **_AT_LEAST_ONCE,
            "x-dead-letter-routing-key": dead_queue(queue),
            "x-delivery-limit": 50,
            "x-single-active-consumer": True,
        },
    )
    for key in bindings:
        await declared.bind(exchange, routing_key=key)


async def is_declared(broker_url: str, queue: str) -> bool:
    """Tell whether there is a queue of that name.

    Raises:
        `broker.LOST`: the broker is away, or does not answer.
    """
    async with open_channel(broker_url, "topology") as channel:
        try:
            await channel.declare_queue(queue, passive=True, timeout=DEADLINE)
        except ChannelNotFoundEntity:
            return False
        return True


async def declare(broker_url: str, exchange: str, queues: Mapping[str, Sequence[str]]) -> None:
    """Declare both exchanges and every queue, for both, with its bindings; repeating it changes nothing."""
    async with open_channel(broker_url, "topology") as channel:
        for one in (exchange, bulk(exchange)):
            await declare_exchange(channel, one)
        for queue, bindings in queues.items():
            await channel.declare_queue(dead_queue(queue), durable=True, arguments=_DEAD)
            await _declare_queue(channel, exchange, queue, bindings)
            await _declare_queue(channel, bulk(exchange), bulk(queue), bindings)
