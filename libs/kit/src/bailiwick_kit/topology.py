"""The broker's exchanges and queues, declared by `migrate` before any service starts (D16).

Never lazily: a quorum queue younger than a second can come back leaderless after a crash (L1).
Each consumer's queue has a retry queue that returns a message after a pause, and a dead queue where
an operator finds what could not be handled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange

from bailiwick_kit.broker import open_channel

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


def retry_queue(queue: str) -> str:
    """Return the name of a queue's retry queue."""
    return f"{queue}.retry"


def dead_queue(queue: str) -> str:
    """Return the name of a queue's dead-letter queue."""
    return f"{queue}.dead"


async def declare_exchange(channel: AbstractChannel, exchange: str) -> AbstractExchange:
    """Declare the topic exchange that all events go through."""
    return await channel.declare_exchange(exchange, aio_pika.ExchangeType.TOPIC, durable=True)


async def declare_queue(
    channel: AbstractChannel, exchange: str, queue: str, bindings: Sequence[str]
) -> None:
    """Declare a consumer's queue with its retry and dead-letter queues, and bind it."""
    await channel.declare_queue(
        dead_queue(queue),
        durable=True,
        arguments={"x-queue-type": "quorum", "x-delivery-limit": _NEVER},
    )
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


async def declare(broker_url: str, exchange: str, queues: Mapping[str, Sequence[str]]) -> None:
    """Declare the exchange and every queue with its bindings; repeating it changes nothing."""
    async with open_channel(broker_url, "topology") as channel:
        await declare_exchange(channel, exchange)
        for queue, bindings in queues.items():
            await declare_queue(channel, exchange, queue, bindings)
