"""From the outbox to the broker: nothing unless committed, marked only when confirmed, nobody held up."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import aio_pika
import asyncpg
import pytest
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from bailiwick_contracts.envelope import bulk
from bailiwick_kit.bus import relay
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.bus.messages import from_message
from bailiwick_kit.bus.outbox import record
from bailiwick_kit.bus.outbox_notify import Wake, plain_dsn
from bailiwick_kit.bus.relay import LIVE, LaneRelay, Relay
from bailiwick_kit.bus.shares import Shares
from bailiwick_kit.bus.topology import direct_exchange
from bailiwick_testkit.services.toy import QUEUE, ThingChanged, Things, changed, outbox
from bailiwick_testkit.waiting import running, until

ORG = UUID(int=1)


def boundless() -> Shares:
    """Return shares within which a test's one organization has all that it publishes."""
    return Shares(burst=1e9)


class OtherChanged(ThingChanged):
    """Nobody binds this type."""

    type = "things.other.changed.v1"


Arrivals = asyncio.Queue[AbstractIncomingMessage]


@asynccontextmanager
async def arriving(queue: AbstractQueue) -> AsyncIterator[Arrivals]:
    arrivals: Arrivals = asyncio.Queue()
    tag = await queue.consume(arrivals.put, no_ack=True)
    yield arrivals
    await queue.cancel(tag)


@pytest.fixture
async def bound(things: Things) -> AsyncIterator[AbstractQueue]:
    async with open_channel(things.broker_url, "test") as channel:
        yield await channel.get_queue(QUEUE)


@pytest.fixture
async def queue(bound: AbstractQueue) -> AsyncIterator[Arrivals]:
    async with arriving(bound) as arrivals:
        yield arrivals


async def next_of(arrivals: Arrivals) -> AbstractIncomingMessage:
    async with asyncio.timeout(15):
        return await arrivals.get()


async def all_sent(things: Things) -> None:
    async def is_empty() -> bool:
        return await things.unsent() == 0

    await until(is_empty, "an empty outbox")


async def test_a_row_commits_with_its_effect_or_not_at_all(silent: Things) -> None:
    with pytest.raises(DBAPIError):
        await silent.change(changed(ORG), changed(UUID(int=2)))  # the second is not ours to write
    assert await silent.one("SELECT count(*) FROM outbox") == 0
    [event_id] = await silent.change(changed(ORG))
    rows = await silent.ask("SELECT event_id, sent_at FROM outbox")
    assert [tuple(row) for row in rows] == [(event_id, None)]


async def test_a_message_is_a_persistent_cloud_event_that_reads_back(
    things: Things, queue: Arrivals
) -> None:
    event = changed(ORG)
    [event_id] = await things.change(event)
    async with running(things.relay().run):
        message = await next_of(queue)
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert message.routing_key == f"things.thing.changed.v1.{ORG}"
    assert message.message_id == message.headers["ce-id"] == str(event_id)
    envelope = from_message(message)
    assert (envelope.event_id, envelope.subject) == (event_id, event.thing_id)
    assert ThingChanged.model_validate_json(envelope.body) == event


async def test_what_cannot_be_delivered_waits_with_an_alarm_and_holds_up_no_other(
    things: Things, queue: Arrivals
) -> None:
    with capture_logs() as logs:
        await things.change(changed(ORG), recipient="nobody.snapshots")
        [delivered] = await things.change(changed(ORG))
        async with running(things.relay().run):
            assert (await next_of(queue)).message_id == str(delivered)

            async def postponed() -> int:
                return int(
                    await things.one("SELECT max(attempts) FROM outbox WHERE retry_at IS NOT NULL")
                    or 0
                )

            assert await until(postponed) >= 1
            assert await things.unsent() == 1
            async with open_channel(things.broker_url, "test") as channel:
                late = await channel.declare_queue("nobody.snapshots", exclusive=True)
                await late.bind(direct_exchange("things"))
                await all_sent(things)
    alarms = [line for line in logs if line["event"] == "relay.undeliverable"]
    assert alarms
    assert {line["log_level"] for line in alarms} == {"error"}


async def test_a_type_that_nobody_binds_is_published_without_being_missed(things: Things) -> None:
    other = OtherChanged(**changed(ORG).model_dump())
    with capture_logs() as logs:
        await things.change(other)
        async with running(things.relay().run):
            await all_sent(things)
    assert [line for line in logs if line["log_level"] == "error"] == []


async def test_an_unbound_queue_of_a_bound_type_makes_the_row_wait(
    things: Things, bound: AbstractQueue, queue: Arrivals
) -> None:
    await bound.unbind("things", ThingChanged.binding_key())
    await things.change(changed(ORG))
    async with running(things.relay().run):

        async def error() -> str | None:
            return str(await things.one("SELECT error FROM outbox") or "")

        assert await until(error) == "PublishError"
        assert await things.unsent() == 1
        await bound.bind("things", ThingChanged.binding_key())
        await next_of(queue)
        await all_sent(things)


async def test_a_refused_message_waits_and_the_oldest_is_kept(
    things: Things, queue: Arrivals
) -> None:
    async with open_channel(things.broker_url, "test") as channel:
        full = await channel.declare_queue(
            "full", exclusive=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"}
        )
        await full.bind(direct_exchange("things"))
        first = await things.change(changed(ORG), changed(ORG), changed(ORG), recipient="full")
        async with running(things.relay().run):

            async def refused() -> bool:
                return bool(await things.one("SELECT bool_or(error = 'DeliveryError') FROM outbox"))

            await until(refused)
            async with arriving(full) as arrivals:
                got = [await next_of(arrivals) for _ in range(3)]
            await all_sent(things)
    assert {message.message_id for message in got} == {str(one) for one in first}
    assert got[0].message_id == str(first[0])


async def test_a_snapshot_goes_to_its_recipient_alone(things: Things, queue: Arrivals) -> None:
    async with open_channel(things.broker_url, "test") as channel:
        own = await channel.declare_queue("one.consumer", exclusive=True)
        await own.bind(direct_exchange("things"))
        [event_id] = await things.change(changed(ORG), recipient="one.consumer")
        async with running(things.relay().run):
            async with arriving(own) as arrivals:
                assert (await next_of(arrivals)).message_id == str(event_id)
            await all_sent(things)
        assert queue.empty()


async def test_bulk_goes_beside_what_people_do_now(things: Things, queue: Arrivals) -> None:
    async with open_channel(things.broker_url, "test") as channel:
        [beside] = await things.change(changed(ORG), bulk=True)
        [now] = await things.change(changed(ORG))
        async with running(things.relay().run):
            await all_sent(things)
        async with arriving(await channel.get_queue(bulk(QUEUE))) as arrivals:
            message = await next_of(arrivals)
            assert (message.message_id, message.exchange) == (str(beside), "things.bulk")
        assert (await next_of(queue)).message_id == str(now)
        assert queue.empty()


async def test_a_low_position_that_commits_late_is_sent(things: Things, queue: Arrivals) -> None:
    async with running(things.relay().run):
        async with things.api.writing(ORG) as connection:
            [low] = await record(connection, outbox, [changed(ORG)])
            [high] = await things.change(changed(ORG))
            assert (await next_of(queue)).message_id == str(high)
            await all_sent(things)
        assert (await next_of(queue)).message_id == str(low)
        await all_sent(things)
    rows = await things.ask("SELECT event_id FROM outbox ORDER BY position")
    assert [row["event_id"] for row in rows] == [low, high]


async def test_of_two_relays_one_is_active_and_the_other_takes_over(
    things: Things, queue: Arrivals
) -> None:
    holders = """
        SELECT array_agg(pid) FROM pg_locks
        WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = $1)
    """
    async with running(things.relay().run, things.relay().run) as (one, other):
        ids = await things.change(*(changed(ORG) for _ in range(50)))
        assert [(await next_of(queue)).message_id for _ in ids] == [str(each) for each in ids]
        pids = await things.one(holders, things.urls.name)
        assert len(pids) == 2, "one for each lane"
        for pid in pids:
            await things.ask("SELECT pg_terminate_backend($1)", pid)
        [event_id] = await things.change(changed(ORG))
        await things.change(changed(ORG), bulk=True)
        assert (await next_of(queue)).message_id == str(event_id)
        await all_sent(things)
        assert queue.empty()
        assert not one.done()
        assert not other.done()


async def test_6000_rows_drain_at_a_sane_pace_and_in_order(things: Things, queue: Arrivals) -> None:
    ids: list[UUID] = []
    for _ in range(6):
        async with things.api.writing(ORG) as connection:
            ids += await record(connection, outbox, [changed(ORG) for _ in range(1000)])
    started = time.monotonic()
    async with running(things.relay(shares=boundless()).run):
        await all_sent(things)
    seconds = time.monotonic() - started
    assert seconds < 20, f"{6000 / seconds:.0f} rows a second"
    got = [(await next_of(queue)).message_id for _ in ids]
    assert got == [str(one) for one in ids]


async def test_a_message_that_is_never_confirmed_is_put_off_and_holds_up_none_after_it(
    things: Things, queue: Arrivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "DEADLINE", 1.0)
    ids = await things.change(
        *(changed(ORG) for _ in range(2 * LIVE.batch + 1))
    )  # the first goes alone
    publish, released = Relay.publish, asyncio.Event()

    async def publish_later(self: Relay, row: Any, *exchanges: Any) -> None:
        if str(row["event_id"]) == str(ids[10]):
            await released.wait()
        await publish(self, row, *exchanges)

    monkeypatch.setattr(Relay, "publish", publish_later)
    async with running(things.relay().run):

        async def is_put_off() -> bool:
            put_off = await things.ask("SELECT event_id, error FROM outbox WHERE sent_at IS NULL")
            return [tuple(row) for row in put_off] == [(ids[10], "unconfirmed")]

        await until(is_put_off, "all but one are marked as sent")
        released.set()
        await all_sent(things)
    got = [(await next_of(queue)).message_id for _ in ids]
    assert got == [str(one) for one in [*ids[:10], *ids[11:], ids[10]]]
    assert queue.empty()


async def test_rows_that_meet_a_closed_channel_are_no_worse_for_it(
    things: Things, queue: Arrivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await things.change(*(changed(ORG) for _ in range(3)))
    publish, met = Relay.publish, 0

    async def publish_too_late(self: Relay, row: Any, exchange: Any, direct: Any) -> None:
        nonlocal met
        if not met:
            met += 1
            await direct.channel.close()
        await publish(self, row, exchange, direct)

    monkeypatch.setattr(Relay, "publish", publish_too_late)
    with capture_logs() as logs:
        async with running(things.relay().run):
            got = [(await next_of(queue)).message_id for _ in ids]
            await all_sent(things)
    assert got == [str(one) for one in ids]
    assert await things.ask("SELECT 1 FROM outbox WHERE attempts > 0 OR retry_at IS NOT NULL") == []
    assert {line["log_level"] for line in logs} <= {"info", "warning"}


@dataclass
class Freezing:
    """A connection whose database freezes after some questions."""

    database: asyncpg.Connection
    left: int
    in_vain: int = 0

    async def _ask(self, ask: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        if not self.left:
            self.in_vain += 1
            raise TimeoutError
        self.left -= 1
        return await ask(*arguments)

    async def fetch(self, *arguments: Any) -> Any:
        return await self._ask(self.database.fetch, *arguments)

    async def execute(self, *arguments: Any) -> Any:
        return await self._ask(self.database.execute, *arguments)


async def test_a_frozen_database_is_not_asked_again_over_the_same_connection(
    things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    await things.change(*(changed(ORG) for _ in range(2 * LIVE.batch)))
    database = await asyncpg.connect(plain_dsn(things.urls.worker))
    # The first row alone (looked for among those to be tried again as well) and its mark, then a batch;
    # when it freezes, that one is under way.
    monkeypatch.setattr(relay, "RETRY_EVERY", 60.0)
    frozen = Freezing(database, left=4)
    try:
        async with open_channel(things.broker_url, "test") as channel:
            with pytest.raises(asyncpg.InterfaceError):
                await LaneRelay(things.relay(), LIVE)._drain(
                    cast("Any", frozen), channel, asyncio.Event()
                )
    finally:
        await database.close()
    assert (frozen.left, frozen.in_vain) == (0, 1)


async def test_a_commit_wakes_the_relay_long_before_its_next_look(
    things: Things, queue: Arrivals
) -> None:
    wake = Wake(things.urls.api)
    things.api.after_commit(wake.call)
    waits: list[float] = []
    async with running(things.relay().run, wake.run):
        await things.change(changed(ORG))  # everybody is connected after this one
        await next_of(queue)
        await all_sent(things)
        for _ in range(10):
            await things.change(changed(ORG))
            started = time.monotonic()
            await next_of(queue)
            waits.append(time.monotonic() - started)
            await all_sent(things)
    assert sorted(waits)[5] < 0.2, waits  # without a wake-up: a quarter of a second on average


async def test_many_commits_at_once_are_few_wake_ups(things: Things) -> None:
    heard: list[str] = []
    wake = Wake(things.urls.api)
    things.worker.after_commit(wake.call)

    async with running(wake.run):
        raw = await things.api.engine.raw_connection()
        listener = raw.driver_connection
        assert listener is not None
        await listener.add_listener("bailiwick_outbox", lambda *args: heard.append(args[2]))
        for _ in range(200):
            wake.call()

        async def has_heard() -> bool:
            return bool(heard)

        await until(has_heard)
        await listener.remove_listener("bailiwick_outbox", heard.append)
        raw.invalidate()
    assert len(heard) <= 3


async def test_a_cancelled_relay_sends_the_rest_when_it_is_back(
    things: Things, queue: Arrivals
) -> None:
    ids = {str(one) for one in await things.change(*(changed(ORG) for _ in range(1500)))}
    for turns in (1, 3, 5):
        async with running(things.relay(shares=boundless()).run):

            async def has_begun(turns: int = turns) -> bool:
                return await things.unsent() < 1500 * (1 - turns / 10) or turns == 1

            await until(has_begun)
    async with running(things.relay(shares=boundless()).run):
        await all_sent(things)
    got: set[str] = set()
    while got != ids:  # some may come twice
        got.add(str((await next_of(queue)).message_id))
