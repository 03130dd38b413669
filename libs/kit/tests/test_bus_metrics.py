"""Relay, consumers and replicas tell what they do, and how late they are."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs
from typing_extensions import override

from bailiwick_contracts.envelope import Event
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.bus.handling import PoisonError
from bailiwick_kit.bus.messages import to_message
from bailiwick_kit.errors import Unavailable
from bailiwick_kit.replication.change_feed_client import ChangeFeedClient, Changes
from bailiwick_kit.replication.replica import Replica
from bailiwick_testkit.checks.metric_values import figure, rise_of
from bailiwick_testkit.services.toy import (
    EXCHANGE,
    QUEUE,
    ThingChanged,
    Things,
    changed,
    copy,
    replica_positions,
)
from bailiwick_testkit.waiting import running, until

ORG = UUID(int=1)


@dataclass
class HalfOpen(ChangeFeedClient):
    """Tells a head, and nothing up to it."""

    base_url: str = ""
    secret: SecretStr = field(default_factory=lambda: SecretStr(""))
    is_open: bool = True
    head: int = 0

    @override
    async def heads(self) -> list[tuple[UUID, int]]:
        if not self.is_open:
            raise Unavailable
        return [(ORG, self.head)]

    @override
    async def changes(self, org_id: UUID, after: int, limit: int = 1000) -> Changes:
        raise ZeroDivisionError


async def publish(
    things: Things,
    *events: ThingChanged,
    event_id: UUID | None = None,
    time: datetime | None = None,
) -> None:
    async with open_channel(things.broker_url, "test") as channel:
        exchange = await channel.get_exchange(EXCHANGE)
        for event in events:
            message = to_message(
                event_id=event_id or uuid4(),
                event_type=event.type,
                source="/test",
                subject=event.thing_id,
                time=time or datetime.now(UTC),
                body=event.model_dump_json().encode(),
                trace_parent=None,
            )
            await exchange.publish(message, event.routing_key, mandatory=True)


async def poisoned(_: AsyncConnection, __: Event) -> None:
    raise PoisonError("spoilt")


async def becomes(expected: object, name: str, **labels: str) -> None:
    async def is_so() -> bool:
        return figure(name, **labels) == expected

    await until(is_so, f"{name} {expected}")


async def test_the_relay_tells_that_it_is_active_and_how_long_events_took(things: Things) -> None:
    count, total = (
        rise_of(f"bailiwick_relay_seconds_{what}", lane="live") for what in ("count", "sum")
    )
    await things.change(changed(ORG), changed(ORG))
    await things.change(changed(ORG), recipient="nobody.snapshots")  # returned, and so not sent
    await things.ask("UPDATE outbox SET recorded_at = now() - interval '1 minute'")
    with capture_logs():
        async with running(things.relay().run):
            await becomes(1, "bailiwick_relay_active", lane="live")

            async def is_sent() -> bool:
                return await things.unsent() == 1

            await until(is_sent)
    assert count() == 2
    assert 120 <= total() < 180
    assert figure("bailiwick_relay_active", lane="live") == 0


async def test_a_relay_that_stands_by_is_not_active(things: Things) -> None:
    async with running(things.relay().run):
        await becomes(1, "bailiwick_relay_active", lane="live")
        async with running(things.relay().run):
            await becomes(0, "bailiwick_relay_active", lane="live")  # of one process, the last word


async def test_events_are_counted_by_what_became_of_them(things: Things) -> None:
    rises = {
        outcome: rise_of("bailiwick_events_total", queue=QUEUE, outcome=outcome)
        for outcome in ("applied", "repeated", "retried", "dead_lettered")
    }

    def risen() -> dict[str, float]:
        return {outcome: rise() for outcome, rise in rises.items()}

    async def become(**expected: float) -> None:
        async def are_so() -> bool:
            return risen() == dict.fromkeys(rises, 0.0) | expected

        await until(are_so, f"{expected}, not {risen()}")

    failing = {"left": 2}

    async def third_time_lucky(connection: AsyncConnection, event: Event) -> None:
        if failing["left"]:
            failing["left"] -= 1
            raise ZeroDivisionError
        await copy(connection, event)

    event, event_id = changed(ORG), uuid4()
    with capture_logs():
        async with running(things.consumer(third_time_lucky).run):
            await publish(things, event, event_id=event_id)
            await become(retried=2, applied=1)
            await publish(things, event, event_id=event_id)
            await become(retried=2, applied=1, repeated=1)
        async with running(things.consumer(poisoned).run):
            await publish(things, changed(ORG))
            await become(retried=2, applied=1, repeated=1, dead_lettered=1)


async def test_outcomes_that_never_were_are_0_so_that_the_first_is_a_rise(silent: Things) -> None:
    with capture_logs():
        async with running(replace(silent.consumer(), queue="nowhere").run):
            for outcome in ("applied", "repeated", "retried", "dead_lettered"):
                await becomes(0, "bailiwick_events_total", queue="nowhere", outcome=outcome)


async def test_lag_is_from_recording_to_commit_and_of_first_effects_alone(things: Things) -> None:
    count, total = (
        rise_of(f"bailiwick_consumer_lag_seconds_{what}", queue=QUEUE) for what in ("count", "sum")
    )
    repeated = rise_of("bailiwick_events_total", queue=QUEUE, outcome="repeated")
    then, event, event_id = datetime.now(UTC) - timedelta(minutes=1), changed(ORG), uuid4()
    await publish(things, event, event, event_id=event_id, time=then)

    async def is_repeated() -> bool:
        return repeated() == 1

    async with running(things.consumer().run):
        await until(is_repeated)
    assert count() == 1
    assert 60 <= total() < 90


async def test_a_message_in_hand_tells_for_how_long(things: Things) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(connection: AsyncConnection, event: Event) -> None:
        begun.set()
        await go_on.wait()

    name = "bailiwick_consumer_in_hand_seconds"
    async with running(things.consumer(slow).run):
        await becomes(0, name, queue=QUEUE)
        await publish(things, changed(ORG))
        await begun.wait()
        first = figure(name, queue=QUEUE) or 0

        async def is_longer() -> bool:
            return (figure(name, queue=QUEUE) or 0) > first + 0.05

        await until(is_longer)
        go_on.set()
        await becomes(0, name, queue=QUEUE)


async def test_a_replica_is_as_old_as_the_last_look_that_found_it_whole(silent: Things) -> None:
    feed = HalfOpen()
    replica = Replica("ages", silent.worker, replica_positions, {}, feed, look_every=0.02)

    def age() -> float:
        return figure("bailiwick_replica_age_seconds", source="ages") or 0

    async def falls() -> None:
        least = [age()]

        async def is_younger() -> bool:
            least.append(age())
            return least[-1] < least[-2]

        await until(is_younger, "known to be whole again")

    async def rises_to(least: float) -> None:
        async def is_old() -> bool:
            return age() >= least

        await until(is_old)

    with capture_logs():
        async with running(replica.keep_up):
            await falls()
            feed.head = 1  # and no changes up to it: not whole
            await rises_to(0.3)
            feed.is_open, feed.head = False, 0
            await rises_to(age() + 0.2)
            feed.is_open = True
            await falls()
