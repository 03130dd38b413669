"""Queues that lose nothing by themselves: durable, replicated, bounded in attempts (T1, T4, T5)."""

import asyncio
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from bailiwick_contracts.catalogue import PUBLISHED, SUBSCRIBED
from bailiwick_contracts.envelope import EXCHANGE
from bailiwick_kit.bus import topology
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.bus.topology import RETRY_AFTER_MS, dead_queue, direct_exchange, retry_queue
from bailiwick_kit.process import service
from bailiwick_testkit.servers.real import Rabbitmq
from bailiwick_testkit.services.toy import QUEUE, Things
from bailiwick_testkit.waiting import until


async def definitions(rabbitmq: Rabbitmq, vhost: str) -> dict[str, Any]:
    name = vhost.rpartition("/")[2]
    found: dict[str, Any] = await asyncio.to_thread(rabbitmq.ask, "GET", f"/definitions/{name}")
    return found


async def test_every_queue_of_the_catalogue_is_declared_to_lose_nothing(rabbitmq: Rabbitmq) -> None:
    vhost = await asyncio.to_thread(rabbitmq.vhost)
    await service.declare_topology(vhost)
    found = await definitions(rabbitmq, vhost)
    exchanges = {one["name"]: (one["type"], one["durable"]) for one in found["exchanges"]}
    of_events, of_services = (EXCHANGE, f"{EXCHANGE}.bulk"), map(direct_exchange, PUBLISHED)
    assert exchanges == dict.fromkeys(of_events, ("topic", True)) | dict.fromkeys(
        of_services, ("direct", True)
    )

    queues = {queue["name"]: queue for queue in found["queues"]}
    named = {f"{to}.{of}" for to, publishers in SUBSCRIBED.items() for of in publishers}
    consumed = named | {f"{name}.bulk" for name in named}
    assert queues.keys() == {
        *consumed,
        *(f"{name}.retry" for name in consumed),
        *(f"{name}.dead" for name in named),
    }
    for queue in queues.values():
        assert queue["durable"]
        assert queue["arguments"]["x-queue-type"] == "quorum"
        assert "x-max-length" not in queue["arguments"]  # the default would drop the oldest
    at_least_once = {
        "x-dead-letter-exchange": "",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    for name in consumed:
        main, retry = queues[name]["arguments"], queues[retry_queue(name)]["arguments"]
        assert at_least_once.items() <= main.items()
        assert at_least_once.items() <= retry.items()
        assert main["x-dead-letter-routing-key"] == dead_queue(name)
        assert (main["x-delivery-limit"], main["x-single-active-consumer"]) == (50, True)
        assert retry["x-dead-letter-routing-key"] == name
        assert retry["x-message-ttl"] == RETRY_AFTER_MS
        assert queues[dead_queue(name)]["arguments"]["x-delivery-limit"] > 1000

    bound = {(one["source"], one["destination"], one["routing_key"]) for one in found["bindings"]}
    to_one = {one for one in bound if one[0].startswith(f"{EXCHANGE}.direct.")}
    assert to_one == {
        (direct_exchange(sender), queue, queue)
        for queue in queues
        for to, of, *beside in (queue.split("."),)
        for sender in ({to, of} if beside in ([], ["bulk"]) else {to})
    }
    assert bound - to_one == {
        (EXCHANGE + lane, f"{to}.{of}{lane}", f"{event.type}.*")
        for lane in ("", ".bulk")
        for to, publishers in SUBSCRIBED.items()
        for of, events in publishers.items()
        for event in events
    }
    await service.declare_topology(vhost)
    again = await definitions(rabbitmq, vhost)
    assert sorted(again["queues"], key=str) == sorted(found["queues"], key=str)
    assert sorted(again["bindings"], key=str) == sorted(found["bindings"], key=str)
    await asyncio.to_thread(rabbitmq.drop_vhost, vhost)


async def test_a_queue_declared_otherwise_is_an_error_and_not_taken_over(things: Things) -> None:
    async with open_channel(things.broker_url, "test") as channel:
        await channel.declare_queue("odd", durable=True)
    with pytest.raises(aio_pika.exceptions.ChannelPreconditionFailed):
        await topology.declare(things.broker_url, "things", {"odd": []})


async def test_a_queue_is_known_to_be_there_or_not(things: Things) -> None:
    assert await topology.is_declared(things.broker_url, QUEUE)
    assert not await topology.is_declared(things.broker_url, f"{QUEUE}.typo")


@pytest.mark.parametrize("queue_name", [QUEUE, f"{QUEUE}.bulk"])
async def test_what_is_rejected_without_a_word_ends_among_the_dead_letters(
    things: Things, queue_name: str
) -> None:
    async def reject(message: AbstractIncomingMessage) -> None:
        await message.reject(requeue=False)

    async with open_channel(things.broker_url, "test") as channel:
        message = aio_pika.Message(b"", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, queue_name)
        queue = await channel.get_queue(queue_name)
        tag = await queue.consume(reject)
        dead = await channel.get_queue(dead_queue(QUEUE))

        async def get() -> object:
            return await dead.get(no_ack=True, fail=False)

        await until(get)
        await queue.cancel(tag)
