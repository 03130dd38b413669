"""What waits in outbox and queues, in figures; while a part is away, no figure rather than a wrong one."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any
from uuid import UUID

import aio_pika
from structlog.testing import capture_logs

from bailiwick_kit import topology
from bailiwick_kit.broker import open_channel
from bailiwick_kit.metrics import Reading
from bailiwick_kit.sampling import OutboxSampling, QueueSampling, sampling
from bailiwick_testkit.figures import figure
from bailiwick_testkit.servers import Rabbitmq
from bailiwick_testkit.things import (
    EXCHANGE,
    QUEUE,
    Things,
    changed,
    outbox,
)
from bailiwick_testkit.waiting import running, until

ORG = UUID(int=1)


async def becomes(expected: object, name: str, **labels: str) -> None:
    async def is_so() -> bool:
        return figure(name, **labels) == expected

    await until(is_so, f"{name} {expected}")


async def put(things: Things, count: int) -> None:
    """Put messages into the queue that are no events of ours: consumed, they are dead letters."""
    async with open_channel(things.broker_url, "test") as channel:
        for _ in range(count):
            await channel.default_exchange.publish(aio_pika.Message(b"x"), QUEUE, mandatory=True)


def sampled(things: Things) -> Any:
    return OutboxSampling(things.worker, outbox, every=0.02).run


def queues(things: Things, *names: str) -> Any:
    return QueueSampling(things.broker_url, names or (QUEUE,), every=0.05).run


async def test_what_the_outbox_holds_is_told_without_an_organization(silent: Things) -> None:
    async with running(sampled(silent)):
        await becomes(0, "bailiwick_outbox_unsent")
        assert figure("bailiwick_outbox_oldest_seconds") == 0
        await silent.change(changed(ORG), changed(ORG))
        await silent.change(changed(UUID(int=2)))
        await silent.ask(
            "UPDATE outbox SET recorded_at = now() - interval '1 hour' WHERE org_id = $1", ORG
        )
        await becomes(3, "bailiwick_outbox_unsent")

        async def is_old() -> bool:
            return 3600 <= (figure("bailiwick_outbox_oldest_seconds") or 0) < 3700

        await until(is_old)
        assert figure("bailiwick_outbox_undeliverable") == 0
        await silent.ask("UPDATE outbox SET sent_at = now()")
        await becomes(0, "bailiwick_outbox_unsent")
        await becomes(0, "bailiwick_outbox_oldest_seconds")


async def test_only_what_had_no_queue_counts_as_undeliverable(silent: Things) -> None:
    [returned] = await silent.change(changed(ORG))
    [unconfirmed] = await silent.change(changed(ORG))
    late = "UPDATE outbox SET error = $2, attempts = 1 WHERE event_id = $1"
    await silent.ask(late, returned, "PublishError")
    await silent.ask(late, unconfirmed, "unconfirmed")
    async with running(sampled(silent)):
        await becomes(2, "bailiwick_outbox_unsent")
        assert figure("bailiwick_outbox_undeliverable") == 1


async def test_while_nothing_can_be_looked_at_readings_are_absent_and_the_log_says_so_once() -> (
    None
):
    reading, looks, is_away = Reading("waiting", "How many wait.", ()), 0, False

    def shown() -> list[float]:
        return [one.value for family in reading.collect() for one in family.samples]

    async def rounds() -> AsyncGenerator[None, None]:
        nonlocal looks
        while True:
            looks += 1
            if is_away:
                raise ConnectionError("postgresql://user:hunter2@host")
            reading.set(looks)
            yield

    async def look(times: int) -> None:
        enough = looks + times

        async def looked() -> bool:
            return looks >= enough

        await until(looked)

    with capture_logs() as logs:
        async with running(partial(sampling, "things", 0.001, rounds, reading)):
            for _ in range(2):
                await look(3)
                assert shown()
                is_away = True
                await look(3)
                assert shown() == []
                is_away = False
    told = {"event": "sampling.interrupted", "what": "things", "error": "ConnectionError"}
    assert logs == [told | {"log_level": "warning"}] * 2


async def test_without_the_outbox_its_figures_are_absent(silent: Things) -> None:
    with capture_logs() as logs:
        async with running(sampled(silent)):
            await becomes(0, "bailiwick_outbox_unsent")
            await silent.ask("ALTER TABLE outbox RENAME TO away")
            for name in ("unsent", "oldest_seconds", "undeliverable"):
                await becomes(None, f"bailiwick_outbox_{name}")
            await silent.ask("ALTER TABLE away RENAME TO outbox")
            await becomes(0, "bailiwick_outbox_unsent")
    assert {line["event"] for line in logs} == {"sampling.failed"}


async def test_queues_tell_what_waits_who_consumes_and_what_is_dead(things: Things) -> None:
    async with running(queues(things)):
        await becomes(0, "bailiwick_queue_messages", queue=QUEUE)
        assert figure("bailiwick_queue_consumers", queue=QUEUE) == 0
        assert figure("bailiwick_dead_letters", queue=QUEUE) == 0
        await put(things, 3)
        await becomes(3, "bailiwick_queue_messages", queue=QUEUE)
        assert figure("bailiwick_dead_letters", queue=QUEUE) == 0
        async with running(things.consumer().run):
            await becomes(3, "bailiwick_dead_letters", queue=QUEUE)
            await becomes(1, "bailiwick_queue_consumers", queue=QUEUE)
            await becomes(0, "bailiwick_queue_messages", queue=QUEUE)


async def test_a_queue_that_does_not_tell_hides_no_other(things: Things) -> None:
    async with running(queues(things, "nowhere", QUEUE)):
        await becomes(0, "bailiwick_queue_messages", queue=QUEUE)
        assert figure("bailiwick_queue_messages", queue="nowhere") is None
        await put(things, 1)
        await becomes(1, "bailiwick_queue_messages", queue=QUEUE)


async def test_a_broker_that_is_away_is_no_empty_queue(rabbitmq: Rabbitmq) -> None:
    vhost = await asyncio.to_thread(rabbitmq.vhost)
    await topology.declare(vhost, EXCHANGE, {QUEUE: []})
    with capture_logs() as logs:
        async with running(QueueSampling(vhost, [QUEUE], every=0.05).run):
            await becomes(0, "bailiwick_dead_letters", queue=QUEUE)
            await asyncio.to_thread(rabbitmq.drop_vhost, vhost)
            for name in ("queue_messages", "queue_consumers", "dead_letters"):
                await becomes(None, f"bailiwick_{name}", queue=QUEUE)
    assert {line["event"] for line in logs} <= {"sampling.interrupted"}
