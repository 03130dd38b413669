"""From the broker to an effect: once, whatever is repeated, shuffled, broken or interrupted."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import aio_pika
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from bailiwick_contracts.envelope import Event
from bailiwick_kit.bus import consumer as consumers
from bailiwick_kit.bus import held
from bailiwick_kit.bus.backlog import Backlog, Delivery
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.bus.dead_letters import DeadLetter, DeadLetters
from bailiwick_kit.bus.handling import Received
from bailiwick_kit.bus.held import PREFETCH
from bailiwick_kit.bus.messages import Envelope, to_message
from bailiwick_testkit.services.toy import EXCHANGE, QUEUE, ThingChanged, Things, changed, copy
from bailiwick_testkit.waiting import running, until

ORG = UUID(int=1)


async def publish(things: Things, *messages: aio_pika.Message, key: str = "") -> None:
    async with open_channel(things.broker_url, "test") as channel:
        exchange = await channel.get_exchange(EXCHANGE)
        key = key or f"{ThingChanged.type}.{ORG}"
        await asyncio.gather(
            *(exchange.publish(message, key, mandatory=True) for message in messages)
        )


def message_of(
    event: ThingChanged, event_id: UUID | None = None, body: bytes | None = None
) -> aio_pika.Message:
    return to_message(
        event_id=event_id or uuid4(),
        event_type=event.type,
        source="/test",
        subject=event.thing_id,
        time=datetime.now(UTC),
        body=event.model_dump_json().encode() if body is None else body,
        trace_parent=None,
    )


async def copies(things: Things) -> dict[UUID, int]:
    return {row["thing_id"]: row["version"] for row in await things.ask("SELECT * FROM copies")}


async def effects(things: Things) -> list[int]:
    return [row["times"] for row in await things.ask("SELECT times FROM effects")]


async def ready(things: Things) -> int:
    async with open_channel(things.broker_url, "test") as channel:
        queue = await channel.declare_queue(QUEUE, passive=True)
        return queue.declaration_result.message_count or 0


async def dead(things: Things, count: int = 1) -> list[DeadLetter]:
    letters = DeadLetters(things.broker_url, QUEUE)

    async def enough() -> list[DeadLetter] | None:
        found = await letters.list()
        return found if len(found) >= count else None

    found: list[DeadLetter] = await until(enough, f"{count} dead letters", within=20)
    assert len(found) == count
    return found


async def arrived(things: Things, expected: dict[UUID, int]) -> None:
    async def is_there() -> bool:
        return await copies(things) == expected

    await until(is_there, "all copies")


async def test_a_repeated_event_has_one_effect(things: Things) -> None:
    events = [(uuid4(), changed(ORG)) for _ in range(20)]
    messages = [message_of(event, event_id) for event_id, event in events * 3]
    random.Random(1).shuffle(messages)  # noqa: S311 - no secret
    await publish(things, *messages)
    async with running(things.consumer().run):
        await arrived(things, {event.thing_id: 1 for _, event in events})
        await until(lambda: _is_drained(things))
    assert await effects(things) == [1] * 20


async def _is_drained(things: Things) -> bool:
    return await ready(things) == 0


async def test_two_consumers_at_once_have_one_effect(things: Things) -> None:
    # The queue lets one consume at a time; the inbox holds even if both had the same message.
    events = [(uuid4(), changed(ORG)) for _ in range(40)]
    await publish(things, *(message_of(event, event_id) for event_id, event in events * 2))
    one, other = things.consumer(), things.consumer()

    async def at_once(event_id: UUID, event: ThingChanged) -> None:
        envelope = Envelope(event_id, event.type, event.thing_id, event.model_dump_json().encode())
        applying = [consumer._applying for consumer in (one, other)]
        await asyncio.gather(*(by.apply([by.read(envelope)]) for by in applying))

    async with running(one.run, other.run):
        for event_id, event in events[:10]:
            await at_once(event_id, event)
        await arrived(things, {event.thing_id: 1 for _, event in events})
    assert await effects(things) == [1] * 40


async def test_what_waits_of_one_organization_is_applied_in_one_transaction(things: Things) -> None:
    orgs = [ORG, UUID(int=2)]
    events = [changed(orgs[number % 2]) for number in range(200)]
    calls: list[Sequence[Received]] = []

    async def apply(connection: AsyncConnection, received: Sequence[Received]) -> None:
        calls.append(received)
        for one in received:
            await copy(connection, one.event)

    async with open_channel(things.broker_url, "test") as channel:
        exchange = await channel.get_exchange(EXCHANGE)
        keyed = [(message_of(event), f"{event.type}.{event.org_id}") for event in events]
        await asyncio.gather(*(exchange.publish(*one) for one in keyed))
    async with running(things.consumer(of_many=apply).run):
        await arrived(things, {event.thing_id: 1 for event in events})
    assert await effects(things) == [1] * 200
    assert all(len({one.event.org_id for one in call}) == 1 for call in calls)
    assert len(calls) < 40
    told = [one.event.subject for call in calls for one in call if one.event.org_id == ORG]
    assert told == [event.thing_id for event in events if event.org_id == ORG]


async def test_an_organization_whose_events_take_long_holds_up_no_other(things: Things) -> None:
    slow, others = [changed(ORG) for _ in range(300)], [changed(UUID(int=2)) for _ in range(10)]
    entered, free = asyncio.Event(), asyncio.Event()

    async def wait(connection: AsyncConnection, event: Event) -> None:
        if event.org_id == ORG:
            entered.set()
            await free.wait()
        await copy(connection, event)

    async with running(things.consumer(wait).run):
        await publish(things, *map(message_of, slow))
        await entered.wait()
        await publish(things, *map(message_of, others))
        await arrived(things, {event.thing_id: 1 for event in others})
        free.set()
        await arrived(things, {event.thing_id: 1 for event in [*slow, *others]})
    assert await effects(things) == [1] * 310


async def test_shuffled_versions_end_at_the_highest(things: Things) -> None:
    thing_ids = [uuid4() for _ in range(4)]
    events = [changed(ORG, thing_id, version) for thing_id in thing_ids for version in range(1, 26)]
    random.Random(2).shuffle(events)  # noqa: S311 - no secret
    await publish(things, *map(message_of, events))
    async with running(things.consumer().run):
        await arrived(things, dict.fromkeys(thing_ids, 25))
        await until(lambda: _is_drained(things))


class Moody:
    """A handler that fails for some things, so often or in such a way."""

    def __init__(self) -> None:
        self.bad: dict[UUID, list[Exception | float]] = {}
        self.calls: list[UUID] = []

    async def __call__(self, connection: AsyncConnection, event: Event) -> None:
        self.calls.append(event.subject)
        await copy(connection, event)
        if moods := self.bad.get(event.subject):
            mood = moods[0] if len(moods) == 1 else moods.pop(0)
            if isinstance(mood, Exception):
                raise mood
            await asyncio.sleep(mood)


async def test_poison_is_set_aside_with_its_reason_and_the_others_flow(
    things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "ATTEMPTS", 2)
    raising, slow, good = changed(ORG), changed(ORG), [changed(ORG) for _ in range(20)]
    moody = Moody()
    moody.bad = {raising.thing_id: [ValueError("a\nDETAIL: b")], slow.thing_id: [60.0]}
    await publish(things, aio_pika.Message(b"no event at all"))
    await publish(things, message_of(raising), message_of(slow))
    await publish(things, message_of(changed(ORG), body=b'{"org_id": '))
    await publish(things, message_of(changed(ORG), body=b'"' + b"x" * 9_000_000))
    unknown = message_of(changed(ORG))
    unknown.headers["ce-type"] = "things.thing.vanished.v1"
    await publish(things, unknown)
    await publish(things, *map(message_of, good))
    async with running(things.consumer(moody, deadline=0.3).run):
        await arrived(things, {event.thing_id: 1 for event in good})
        letters = await dead(things, 6)
    reasons = sorted(letter.reason.split(":")[0] for letter in letters)
    assert reasons == [
        "TimeoutError",
        "ValueError",
        "invalid",
        "invalid",
        "unknown type things.thing.vanished.v1",
        "unreadable",
    ]
    by_subject = {letter.subject: letter for letter in letters}
    assert by_subject[str(raising.thing_id)].reason == "ValueError: a"  # details may be personal
    assert by_subject[str(raising.thing_id)].body == raising.model_dump_json().encode()
    # Each attempt at most once more: among others, which counts for nobody.
    assert 2 <= moody.calls.count(raising.thing_id) <= 4
    assert await effects(things) == [1] * 20
    counted = await things.ask("SELECT 1 FROM inbox WHERE attempts > 0 AND done_at IS NOT NULL")
    assert counted == []  # what failed beside innocent events was not counted for them


@pytest.mark.parametrize("words", ["no such state: a\x00b", "no such state: \ud800"])
async def test_a_failure_in_words_that_no_database_takes_is_counted_and_holds_up_no_other(
    things: Things, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr(consumers, "ATTEMPTS", 2)
    bad, good = changed(ORG), changed(ORG)
    moody = Moody()
    moody.bad = {bad.thing_id: [ValueError(words)]}
    await publish(things, message_of(bad), message_of(good))
    with capture_logs():  # a report of this test could not be written down, either
        async with running(things.consumer(moody).run):
            await arrived(things, {good.thing_id: 1})
            [letter] = await dead(things)
    assert letter.reason.startswith(f"ValueError: {words[:10]}")
    assert 2 <= moody.calls.count(bad.thing_id) <= 4


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("a\x00b", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\x1bb", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\r\nb\tc\xa0d", "a  b c d"),
        ("naïve: → 🫖\u200d", "naïve: → 🫖\u200d"),
    ],
)
def test_only_what_cannot_be_written_down_is_replaced_in_a_reason(words: str, written: str) -> None:
    assert consumers._writable(words) == written


async def test_a_passing_failure_is_retried_and_has_one_effect(things: Things) -> None:
    event = changed(ORG)
    moody = Moody()
    moody.bad = {event.thing_id: [ValueError(), ValueError(), 0.0]}
    await publish(things, message_of(event))
    async with running(things.consumer(moody).run):
        await arrived(things, {event.thing_id: 1})
    assert await effects(things) == [1]
    assert (await things.one("SELECT attempts FROM inbox"), len(moody.calls)) == (2, 3)


async def test_dead_letters_are_listed_shown_replayed_and_dropped(
    things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "ATTEMPTS", 1)
    events = [changed(ORG) for _ in range(4)]
    moody = Moody()
    moody.bad = {event.thing_id: [ValueError("not yet")] for event in events}
    letters = DeadLetters(things.broker_url, QUEUE)
    await publish(things, *map(message_of, events))
    async with running(things.consumer(moody).run):
        found = await dead(things, 4)
        assert await letters.list() == found  # looking changes nothing
        assert [letter.subject for letter in found] == [str(e.thing_id) for e in events]
        assert {letter.type for letter in found} == {ThingChanged.type}

        # What fails again comes back, once: replaying all does not go round in circles.
        assert await letters.replay() == 4
        found = await dead(things, 4)

        assert await letters.drop(found[0].event_id) == 1
        assert await letters.drop(found[0].event_id) == 0
        moody.bad.clear()
        assert await letters.replay(found[1].event_id) == 1
        await arrived(things, {UUID(found[1].subject): 1})
        assert await letters.replay() == 2
        await arrived(
            things,
            {event.thing_id: 1 for event in events if str(event.thing_id) != found[0].subject},
        )
    assert await letters.list() == []
    assert await effects(things) == [1] * 3


async def test_a_replayed_event_has_all_its_attempts_again(
    things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "ATTEMPTS", 2)
    event = changed(ORG)
    moody = Moody()
    moody.bad = {event.thing_id: [ValueError(), ValueError(), ValueError(), 0.0]}
    await publish(things, message_of(event))
    async with running(things.consumer(moody).run):
        await dead(things)
        assert await DeadLetters(things.broker_url, QUEUE).replay() == 1
        await arrived(things, {event.thing_id: 1})
    assert len(moody.calls) == 4


async def test_what_a_consumer_holds_is_bounded_in_bytes_and_each_event_takes_effect_once(
    things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [changed(ORG) for _ in range(100)]
    await publish(things, *map(message_of, events))
    size = len(events[0].model_dump_json())
    monkeypatch.setattr(held, "MOST_BYTES", 10 * size)
    kept: dict[int, int] = {}
    add, goes_on = Backlog.add, asyncio.Event()

    def add_and_count(backlog: Backlog, delivery: Delivery) -> None:
        kept[id(backlog)] = kept.get(id(backlog), 0) + len(delivery.envelope.body)
        add(backlog, delivery)

    async def slow(connection: AsyncConnection, event: Event) -> None:
        await goes_on.wait()
        await copy(connection, event)

    async def is_full() -> bool:
        return any(one["event"] == "consumer.full" for one in lines)

    monkeypatch.setattr(Backlog, "add", add_and_count)
    with capture_logs() as lines:
        async with running(things.consumer(slow).run):
            await until(is_full)
            assert max(kept.values()) <= 10 * size
            goes_on.set()
            await arrived(things, {event.thing_id: 1 for event in events})
    assert await effects(things) == [1] * len(events)
    assert await DeadLetters(things.broker_url, QUEUE).list() == []


async def test_a_consumer_cancelled_in_the_middle_loses_nothing(things: Things) -> None:
    events = [changed(ORG) for _ in range(PREFETCH + 5)]
    await publish(things, *map(message_of, events))
    entered = asyncio.Event()

    async def hang(connection: AsyncConnection, event: Event) -> None:
        await copy(connection, event)
        entered.set()
        await asyncio.Event().wait()

    async with running(things.consumer(hang, grace=0.1).run):
        await entered.wait()
    assert await copies(things) == {}
    async with running(things.consumer().run):
        await arrived(things, {event.thing_id: 1 for event in events})
    assert await effects(things) == [1] * len(events)
    assert await things.one("SELECT max(attempts) FROM inbox") <= 1


async def test_a_consumer_told_to_stop_sees_the_event_in_hand_through(things: Things) -> None:
    event, next_one = changed(ORG), changed(ORG)
    await publish(things, message_of(event))
    entered, told = asyncio.Event(), asyncio.Event()

    async def slow(connection: AsyncConnection, event: Event) -> None:
        entered.set()
        await told.wait()
        await copy(connection, event)

    async with running(things.consumer(slow).run) as [task]:
        await entered.wait()
        await publish(things, message_of(next_one))
        task.cancel()
        asyncio.get_running_loop().call_later(0.2, told.set)
        await asyncio.wait([task])
    assert await copies(things) == {event.thing_id: 1}
    async with running(things.consumer().run):
        await arrived(things, {event.thing_id: 1, next_one.thing_id: 1})
    # The other has come again, because it was fetched already; what was seen through has not.
    assert await effects(things) == [1, 1]
    assert await things.one("SELECT count(*) FROM inbox WHERE attempts > 0") <= 1


async def test_what_takes_its_consumer_down_each_time_is_set_aside_and_the_innocent_are_not(
    things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "ATTEMPTS", 3)
    monkeypatch.setattr(consumers, "RECONNECT_AFTER", 0.01)
    deadly, innocent = changed(ORG), [changed(ORG) for _ in range(10)]
    deaths = 0

    async def die(connection: AsyncConnection, event: Event) -> None:
        nonlocal deaths
        if event.subject == deadly.thing_id:
            deaths += 1
            raise asyncio.CancelledError
        await copy(connection, event)

    await publish(things, *map(message_of, [deadly, *innocent]))

    async def one_life() -> None:
        task = asyncio.create_task(things.consumer(die).run())
        await asyncio.wait([task], timeout=10)
        assert task.cancelled()

    for _ in range(4):
        await one_life()
    async with running(things.consumer(die).run):
        await arrived(things, {event.thing_id: 1 for event in innocent})
        [letter] = await dead(things)
    assert (letter.subject, deaths) == (str(deadly.thing_id), 4)
    assert letter.reason == "takes its consumer down"


async def test_a_consumer_starts_before_its_broker_has_its_queue(things: Things) -> None:
    async with open_channel(things.broker_url, "test") as channel:
        await channel.queue_delete(QUEUE)
        await channel.exchange_delete(EXCHANGE)
    await things.change(changed(ORG))
    async with running(things.consumer().run, things.relay().run):
        await asyncio.sleep(0)
        await things.declare()
        await until(things.is_settled)


async def test_a_queue_made_anew_is_consumed_again(things: Things) -> None:
    async with running(things.consumer(patience=0.3).run):
        first, second = changed(ORG), changed(ORG)
        await publish(things, message_of(first))
        await arrived(things, {first.thing_id: 1})
        async with open_channel(things.broker_url, "test") as channel:
            await channel.queue_delete(QUEUE)  # the broker may not say a word
        await things.declare()
        await publish(things, message_of(second))
        await arrived(things, {first.thing_id: 1, second.thing_id: 1})


async def test_a_handler_that_fails_like_an_outage_does_not_hold_the_queue(
    things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "ATTEMPTS", 2)
    slow, unreachable, good = changed(ORG), changed(ORG), changed(ORG)

    async def fail(connection: AsyncConnection, event: Event) -> None:
        if event.subject == unreachable.thing_id:
            raise ConnectionRefusedError
        if event.subject == slow.thing_id:
            await connection.exec_driver_sql("SET LOCAL statement_timeout = '50ms'")
            await connection.exec_driver_sql("SELECT pg_sleep(9)")
        await copy(connection, event)

    await publish(things, *map(message_of, (slow, unreachable, good)))
    async with running(things.consumer(fail).run):
        await arrived(things, {good.thing_id: 1})
        letters = await dead(things, 2)
    assert {letter.subject for letter in letters} == {str(slow.thing_id), str(unreachable.thing_id)}


async def test_where_failures_cannot_be_counted_everything_waits_and_nothing_is_set_aside(
    things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with rights that are missing. Giving up again and again would use up the broker's own limit."""
    monkeypatch.setattr(consumers, "RECONNECT_AFTER", 0.01)
    monkeypatch.setattr(consumers, "UNCOUNTED_AFTER", 0.01)
    events = [changed(ORG) for _ in range(3)]
    event_ids = [uuid4() for _ in events]
    await publish(things, *map(message_of, events, event_ids))
    await things.ask("REVOKE ALL ON inbox FROM things_worker")

    async def has_failed_often() -> bool:
        return len(logs) > 100

    with capture_logs() as logs:
        async with running(things.consumer().run):
            await until(has_failed_often)
            await things.ask("GRANT ALL ON inbox TO things_worker")
            await arrived(things, {event.thing_id: 1 for event in events})
    assert await DeadLetters(things.broker_url, QUEUE).list() == []
    uncounted = [line for line in logs if line["event"] == "consumer.not_counted"]
    told = {(line["type"], line["event_id"]) for line in uncounted}
    assert told == {(ThingChanged.type, str(event_ids[0]))}
