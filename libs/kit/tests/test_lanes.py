"""What people do now and bulk: each is consumed, retried and replayed beside the other (ADR 15)."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import aio_pika
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.envelope import Event, bulk
from bailiwick_kit.bus import consumer as consumers
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.bus.dead_letters import DeadLetter, DeadLetters
from bailiwick_kit.bus.lanes import in_both_lanes
from bailiwick_kit.bus.messages import to_message
from bailiwick_testkit.services.toy import QUEUE, ThingChanged, Things, changed
from bailiwick_testkit.waiting import running, until

ORG = UUID(int=1)
LANES = (QUEUE, bulk(QUEUE))


def message_of(event: ThingChanged) -> aio_pika.Message:
    return to_message(
        event_id=uuid4(),
        event_type=event.type,
        source="/test",
        subject=event.thing_id,
        time=datetime.now(UTC),
        body=event.model_dump_json().encode(),
        trace_parent=None,
    )


async def put(things: Things, queue: str, event: ThingChanged) -> None:
    async with open_channel(things.broker_url, "test") as channel:
        await channel.default_exchange.publish(message_of(event), queue, mandatory=True)


async def waiting(things: Things) -> list[int]:
    async with open_channel(things.broker_url, "test") as channel:
        found = [await channel.declare_queue(queue, passive=True) for queue in LANES]
        return [queue.declaration_result.message_count or 0 for queue in found]


async def test_bulk_that_hangs_holds_up_nothing_that_people_do_now(things: Things) -> None:
    slow, now = changed(ORG), changed(ORG)
    applied: list[UUID] = []

    async def handle(_: AsyncConnection, event: Event) -> None:
        if event.subject == slow.thing_id:

            async def has_overtaken() -> bool:
                return now.thing_id in applied

            await until(has_overtaken)
        applied.append(event.subject)

    await put(things, bulk(QUEUE), slow)
    async with running(*in_both_lanes(things.consumer(handle))):

        async def is_taken() -> bool:
            return await waiting(things) == [0, 0]

        await until(is_taken)
        await put(things, QUEUE, now)

        async def are_both() -> bool:
            return len(applied) == len(LANES)

        await until(are_both)
    assert applied == [now.thing_id, slow.thing_id]


async def test_what_fails_is_tried_again_in_its_own_lane(things: Things) -> None:
    event = changed(ORG)
    tries: list[UUID] = []

    async def fail_once(_: AsyncConnection, event: Event) -> None:
        tries.append(event.subject)
        if len(tries) == 1:
            raise ValueError

    _, in_bulk = in_both_lanes(things.consumer(fail_once))
    await put(things, bulk(QUEUE), event)
    async with running(in_bulk):  # nobody reads the other lane

        async def is_retried() -> bool:
            return len(tries) == 1 + 1

        await until(is_retried)
    assert await waiting(things) == [0, 0]


async def test_a_dead_letter_goes_back_to_the_lane_that_it_came_from(
    things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "ATTEMPTS", 1)
    letters, events = DeadLetters(things.broker_url, QUEUE), [changed(ORG) for _ in LANES]

    async def fail(_: AsyncConnection, event: Event) -> None:
        raise ValueError(event.type)

    for queue, event in zip(LANES, events, strict=True):
        await put(things, queue, event)
    async with running(*in_both_lanes(things.consumer(fail))):

        async def are_set_aside() -> list[DeadLetter] | None:
            found = await letters.list()
            return found if len(found) == len(LANES) else None

        await until(are_set_aside)
    assert await letters.replay() == len(LANES)

    async def are_back() -> bool:
        return await waiting(things) == [1, 1]

    await until(are_back)
