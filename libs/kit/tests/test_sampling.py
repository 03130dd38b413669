"""What waits in outbox and queues, in figures; while a part is away, no figure rather than a wrong one."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any
from uuid import UUID

import aio_pika
from structlog.testing import capture_logs

from bailiwick_kit.bus import topology
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.process.sampling import OutboxSampling, QueueSampling, sampling
from bailiwick_kit.telemetry.metrics import Reading
from bailiwick_testkit.checks.metric_values import figure
from bailiwick_testkit.servers.real import Rabbitmq
from bailiwick_testkit.services.toy import (
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
        await becomes(0, "bailiwick_outbox_unsent", lane="live")
        assert figure("bailiwick_outbox_oldest_seconds", lane="live") == 0
        await silent.change(changed(ORG), changed(ORG))
        await silent.change(changed(UUID(int=2)))
        await silent.ask(
            "UPDATE outbox SET recorded_at = now() - interval '1 hour' WHERE org_id = $1", ORG
        )
        await becomes(3, "bailiwick_outbox_unsent", lane="live")
        assert figure("bailiwick_outbox_unsent", lane="bulk") == 0

        async def is_old() -> bool:
            return 3600 <= (figure("bailiwick_outbox_oldest_seconds", lane="live") or 0) < 3700

        await until(is_old)
        assert figure("bailiwick_outbox_undeliverable") == 0
        await silent.ask("UPDATE outbox SET sent_at = now()")
        await becomes(0, "bailiwick_outbox_unsent", lane="live")
        await becomes(0, "bailiwick_outbox_oldest_seconds", lane="live")


async def test_only_what_had_no_queue_counts_as_undeliverable_and_what_is_parked_by_itself(
    silent: Things,
) -> None:
    ids = [*await silent.change(changed(ORG)), *await silent.change(changed(ORG), bulk=True)]
    ids += await silent.change(changed(ORG), changed(ORG), changed(ORG))
    late = """
        UPDATE outbox SET error = $2, attempts = 1, retry_at = now(),
            parked_at = CASE WHEN $3 THEN now() END
        WHERE event_id = $1
    """
    errors = ["PublishError", "PublishError", "unconfirmed", "DeliveryError", "PublishError"]
    for event_id, error in zip(ids, errors, strict=True):
        await silent.ask(late, event_id, error, event_id == ids[-1])
    async with running(sampled(silent)):
        await becomes(3, "bailiwick_outbox_unsent", lane="live")
        await becomes(1, "bailiwick_outbox_unsent", lane="bulk")
        await becomes(2, "bailiwick_outbox_undeliverable")
        await becomes(1, "bailiwick_outbox_parked")


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
            await becomes(0, "bailiwick_outbox_unsent", lane="live")
            await silent.ask("ALTER TABLE outbox RENAME TO away")
            for name in ("undeliverable", "parked"):
                await becomes(None, f"bailiwick_outbox_{name}")
            for name in ("unsent", "oldest_seconds"):
                await becomes(None, f"bailiwick_outbox_{name}", lane="live")
            await silent.ask("ALTER TABLE away RENAME TO outbox")
            await becomes(0, "bailiwick_outbox_unsent", lane="live")
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
