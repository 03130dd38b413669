"""The broker's exchanges and queues, declared by `migrate` before any service starts (D16).

Never lazily: a quorum queue younger than a second can come back leaderless after a crash (T1).
Beside each consumer's queue there is one for bulk, bound to an exchange of its own (ADR 15). Each has a
retry queue that returns a message after a pause; both share a dead-letter queue, where an operator finds
what could not be handled. What goes to one queue alone goes through an exchange of the service that sends
it, to which only its own queues and those of its listeners are bound: permissions at the exchange that the
broker has for this, which leads to every queue, could not tell one queue from another (ADR 26).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity

from bailiwick_contracts.envelope import EXCHANGE, bulk
from bailiwick_kit.bus.broker import DEADLINE, open_channel

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


def direct_exchange(service: str) -> str:
    """Return the exchange by which a service puts a message into one queue, by the queue's name."""
    return f"{EXCHANGE}.direct.{service}"


def service_of(queue: str) -> str:
    """Return the service whose queue it is: `orders` of `orders.customers`."""
    return queue.partition(".")[0]


async def declare_exchange(channel: AbstractChannel, exchange: str) -> AbstractExchange:
    """Declare a topic exchange for events."""
    return await channel.declare_exchange(exchange, aio_pika.ExchangeType.TOPIC, durable=True)


async def _declare_queue(
    channel: AbstractChannel, exchange: str, queue: str, bindings: Sequence[str]
) -> None:
    """Declare a queue with its retry queue, and bind it; where its dead letters go is declared."""
    retry = await channel.declare_queue(
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
    publisher = queue.split(".")[1:2]  # it tells some listeners again, each alone (D19)
    await _bind_directly(retry, queue)
    await _bind_directly(declared, queue, *publisher)
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
        for service in sorted({part for queue in queues for part in queue.split(".")[:2]}):
            await channel.declare_exchange(
                direct_exchange(service), aio_pika.ExchangeType.DIRECT, durable=True
            )
        for queue, bindings in queues.items():
            dead = await channel.declare_queue(dead_queue(queue), durable=True, arguments=_DEAD)
            await _bind_directly(dead, queue)
            await _declare_queue(channel, exchange, queue, bindings)
            await _declare_queue(channel, bulk(exchange), bulk(queue), bindings)


async def _bind_directly(declared: AbstractQueue, *services_queues: str) -> None:
    """Let the service of each of these names put messages into a queue."""
    for name in services_queues:
        await declared.bind(direct_exchange(service_of(name)), routing_key=declared.name)
