"""A copy that becomes whole whatever happens to events and feed (D1): gaps, repeats, disorder, silence."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs
from typing_extensions import override

from bailiwick_contracts.envelope import Event
from bailiwick_kit.bus.handling import Received
from bailiwick_kit.errors import Unavailable
from bailiwick_kit.replication import replica as replicas
from bailiwick_kit.replication.change_feed_client import ChangeFeedClient, Changes
from bailiwick_kit.replication.replica import Replica, ask_to_pull
from bailiwick_kit.telemetry import metrics
from bailiwick_testkit.checks.metric_values import figure
from bailiwick_testkit.services.toy import (
    ThingChanged,
    Things,
    changed,
    copies,
    replica_positions,
    upsert,
)
from bailiwick_testkit.waiting import running, until

ORG, OTHER = UUID(int=1), UUID(int=2)


@dataclass
class Authority(ChangeFeedClient):
    """A change feed that knows the newest state of each thing, as an authority does."""

    base_url: str = ""
    secret: SecretStr = field(default_factory=lambda: SecretStr(""))
    is_open: bool = True
    page: int = 1000
    asked: list[tuple[UUID, int]] = field(default_factory=list)
    newest: dict[tuple[UUID, UUID], ThingChanged] = field(default_factory=dict)
    head: dict[UUID, int] = field(default_factory=dict)

    def change(self, org_id: UUID = ORG, thing_id: UUID | None = None) -> ThingChanged:
        thing_id = thing_id or uuid4()
        known = self.newest.get((org_id, thing_id))
        self.head[org_id] = self.head.get(org_id, 0) + 1
        version = known.version + 1 if known else 1
        event = changed(org_id, thing_id, version, seq=self.head[org_id])
        self.newest[org_id, thing_id] = event
        return event

    @override
    async def changes(self, org_id: UUID, after: int, limit: int = 1000) -> Changes:
        self.asked.append((org_id, after))
        if not self.is_open:
            raise Unavailable
        found = sorted(
            (e for e in self.newest.values() if e.org_id == org_id and e.seq > after),
            key=lambda event: event.seq,
        )
        page = found[: min(limit, self.page)]
        told = [{"seq": e.seq, "type": e.type, "data": e.model_dump(mode="json")} for e in page]
        return Changes(head=self.head[org_id], complete=len(page) < self.page, changes=told)

    @override
    async def heads(self) -> list[tuple[UUID, int]]:
        if not self.is_open:
            raise Unavailable
        return list(self.head.items())


async def apply(connection: AsyncConnection, events: Sequence[ThingChanged]) -> None:
    for event in events:
        await upsert(connection, copies, event)


@pytest.fixture
def feed() -> Authority:
    return Authority()


@pytest.fixture
def replica(silent: Things, feed: Authority) -> Replica:
    return Replica(
        source="things",
        database=silent.worker,
        positions=replica_positions,
        appliers={ThingChanged: apply},
        feed=feed,
        look_every=0.1,
    )


async def consume(replica: Replica, events: Sequence[ThingChanged]) -> None:
    for event in events:
        await receive(replica, [event])


async def receive(replica: Replica, events: Sequence[ThingChanged]) -> None:
    """Have events of one organization applied together, as the consumer would."""
    async with replica.database.writing(events[0].org_id) as connection:
        await replica.receive(connection, [Received(event, uuid4()) for event in events])


async def stands_at(replica: Replica, seq: int) -> bool:
    return await replica.position(ORG) == seq


async def kept(things: Things) -> dict[tuple[UUID, UUID], int]:
    rows = await things.ask("SELECT * FROM copies")
    return {(row["org_id"], row["thing_id"]): row["version"] for row in rows}


def wanted(feed: Authority) -> dict[tuple[UUID, UUID], int]:
    return {key: event.version for key, event in feed.newest.items()}


async def test_events_in_order_need_no_feed(
    silent: Things, replica: Replica, feed: Authority
) -> None:
    thing_id = uuid4()
    await consume(replica, [feed.change(thing_id=thing_id) for _ in range(3)] + [feed.change()])
    assert await kept(silent) == wanted(feed)
    assert (await replica.position(ORG), feed.asked) == (4, [])


async def test_a_gap_is_pulled_from_the_feed(
    silent: Things, replica: Replica, feed: Authority
) -> None:
    events = [feed.change() for _ in range(6)]
    async with running(replica._pull_in_turn):
        await consume(replica, [events[0], events[4]])
        await until(lambda: stands_at(replica, 6))
    assert await kept(silent) == wanted(feed)
    assert feed.asked == [(ORG, 1)]
    await consume(replica, events)  # what comes late changes nothing
    assert await kept(silent) == wanted(feed)
    assert (await replica.position(ORG), len(feed.asked)) == (6, 1)


async def test_while_the_feed_is_shut_an_event_is_applied_and_nothing_is_believed_whole(
    silent: Things, replica: Replica, feed: Authority
) -> None:
    events = [feed.change() for _ in range(40)]
    feed.is_open = False
    replica.look_every = 60.0

    async def has_been_asked() -> bool:
        return bool(feed.asked)

    with capture_logs():
        async with running(replica._pull_in_turn):
            await consume(replica, [events[0], events[3]])
            await until(has_been_asked)
            await consume(replica, events[4:])
    assert len(await kept(silent)) == 38
    assert await replica.position(ORG) == 1
    assert len(feed.asked) < 15  # not for every event, and at last not even in halves
    feed.is_open = True
    await replica.look()
    assert await kept(silent) == wanted(feed)
    assert await replica.position(ORG) == 40


@pytest.mark.parametrize("together", [1, 7])
async def test_shuffled_and_repeated_events_end_like_the_authority(
    silent: Things, replica: Replica, feed: Authority, together: int
) -> None:
    chance = random.Random(3)  # noqa: S311 - no secret
    thing_ids = [uuid4() for _ in range(5)]
    events = [feed.change(thing_id=chance.choice(thing_ids)) for _ in range(60)] * 2
    chance.shuffle(events)
    for first in range(0, len(events), together):
        await receive(replica, events[first : first + together])
    assert await kept(silent) == wanted(feed)
    assert (await replica.position(ORG) <= 60, feed.asked) == (True, [])
    await replica.look()
    assert await replica.position(ORG) == 60


async def test_a_chunked_changeset_is_left_to_the_feed(
    silent: Things, replica: Replica, feed: Authority
) -> None:
    whole = feed.change()
    chunk = whole.model_copy(update={"chunks": 2, "name": "half"})
    await consume(replica, [chunk])
    assert (await kept(silent), await replica.position(ORG)) == ({}, 0)
    async with running(replica._pull_in_turn):
        await until(lambda: stands_at(replica, 1))
    assert await silent.one("SELECT name FROM copies") == whole.name


async def test_a_first_boot_pulls_page_by_page(
    silent: Things, replica: Replica, feed: Authority
) -> None:
    feed.page = 7
    for _ in range(20):
        feed.change()
    feed.change(OTHER)
    await replica.look()
    assert await kept(silent) == wanted(feed)
    assert (await replica.position(ORG), await replica.position(OTHER)) == (20, 1)
    assert [after for org_id, after in feed.asked if org_id == ORG] == [0, 7, 14]


@pytest.mark.parametrize("fails", ["at the change feed", "when it is applied"])
async def test_a_page_that_fails_is_asked_for_in_halves(
    silent: Things, replica: Replica, feed: Authority, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """As one that is too large to be read in time, or whose writing takes longer than a statement may."""
    limits, changes = list[int](), feed.changes

    async def telling(org_id: UUID, after: int, limit: int = 1000) -> Changes:
        limits.append(limit)
        if fails == "at the change feed" and limit > 200:
            raise Unavailable
        feed.page = limit
        return await changes(org_id, after, limit)

    async def write(connection: AsyncConnection, events: Sequence[ThingChanged]) -> None:
        if fails == "when it is applied" and len(events) > 200:
            raise DBAPIError("too slow", None, ConnectionResetError())
        await apply(connection, events)

    monkeypatch.setattr(feed, "changes", telling)
    monkeypatch.setattr(replicas, "TRY_AGAIN_AFTER", 0.01)
    replica.appliers = {ThingChanged: write}
    for _ in range(300):
        feed.change()
    with capture_logs():
        await replica.pull(ORG, patience=60)
    assert await kept(silent) == wanted(feed)
    assert limits[:4] == [1000, 500, 250, 125]
    assert max(limits[3:]) <= 500  # it grows again


async def test_a_feed_that_makes_no_progress_is_not_asked_for_ever(
    replica: Replica, feed: Authority
) -> None:
    feed.change()
    feed.page = 0
    with pytest.raises(Unavailable):
        await replica.pull(ORG)
    assert await replica.position(ORG) == 0


async def test_one_organization_that_cannot_be_applied_holds_up_no_other(
    silent: Things, replica: Replica, feed: Authority
) -> None:
    bad = feed.change(OTHER)
    feed.newest[OTHER, bad.thing_id] = bad.model_copy(update={"org_id": OTHER, "version": 0})
    feed.change(ORG)
    with capture_logs() as logs:
        await replica.look()
    assert (await replica.position(ORG), await replica.position(OTHER)) == (1, 0)
    assert "replica.failed" in {line["event"] for line in logs}


async def test_one_organization_that_the_feed_does_not_tell_of_holds_up_no_other(
    replica: Replica, feed: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = feed.changes

    async def telling(org_id: UUID, after: int, limit: int = 1000) -> Changes:
        if org_id == OTHER:
            raise Unavailable
        return await changes(org_id, after, limit)

    monkeypatch.setattr(feed, "changes", telling)
    metrics.REPLICA_AGE.forget("things")
    feed.change(OTHER)
    feed.change(ORG)
    with capture_logs() as logs:
        await replica.look()
    assert (await replica.position(ORG), await replica.position(OTHER)) == (1, 0)
    told = [(line["event"], line["org_id"]) for line in logs]
    assert told == [("replica.not_pulled", str(OTHER))]
    assert figure("bailiwick_replica_age_seconds", source="things") is None  # it is not whole


async def test_an_organization_with_much_to_tell_holds_up_no_other(
    silent: Things, replica: Replica, feed: Authority
) -> None:
    feed.page = 2
    for _ in range(5):
        feed.change(OTHER)
    feed.change(ORG)
    await replica.look()
    assert feed.asked == [(OTHER, 0), (ORG, 0), (OTHER, 2), (OTHER, 4)]
    assert await kept(silent) == wanted(feed)
    feed.asked.clear()
    for _ in range(5):
        feed.change(OTHER)
    feed.change(ORG)
    for question in (f"things:{OTHER}", f"things:{ORG}", f"things:{OTHER}"):
        replica._asked_over(question)

    async def is_whole() -> bool:
        return await kept(silent) == wanted(feed)

    async with running(replica._pull_in_turn):
        await until(is_whole)
    assert feed.asked == [(OTHER, 5), (ORG, 1), (OTHER, 7), (OTHER, 9)]


async def test_it_keeps_up_by_itself_and_over_a_shut_feed_and_a_cut_connection(
    silent: Things, replica: Replica, feed: Authority
) -> None:
    feed.change()
    async with running(replica.keep_up):
        await until(lambda: stands_at(replica, 1), "pulled when it starts")
        feed.change()
        await until(lambda: stands_at(replica, 2), "pulled by itself")
        feed.is_open = False
        feed.change()
        await silent.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        )
        feed.is_open = True
        await until(lambda: stands_at(replica, 3), "pulled over a new connection")


async def test_a_cut_connection_is_missed_at_once_and_not_at_the_next_look(
    silent: Things, replica: Replica, feed: Authority
) -> None:
    replica.look_every = 60.0

    feed.change()
    async with running(replica.keep_up):
        await until(lambda: stands_at(replica, 1), "pulled when it starts")
        await silent.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        )
        feed.change()
        await ask_to_pull(silent.api, "things", ORG)  # whether or not it is heard
        await until(lambda: stands_at(replica, 2), "pulled over a new connection")


async def test_who_asks_waits_for_no_look_and_is_not_broken_off_by_one(
    silent: Things, replica: Replica, feed: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at many organizations takes long, and then the next one is due before a pull has ended."""
    broken_off: list[int] = []
    changes, looks = feed.changes, 0

    async def slow(org_id: UUID, after: int, limit: int = 1000) -> Changes:
        try:
            await asyncio.sleep(3 * replica.look_every)
        except asyncio.CancelledError:
            broken_off.append(after)
            raise
        return await changes(org_id, after, limit)

    async def endless() -> list[tuple[UUID, int]]:
        nonlocal looks
        looks += 1
        if looks > 1:
            await asyncio.Event().wait()
        return []

    async def has_looked(times: int) -> bool:
        return looks == times

    monkeypatch.setattr(feed, "changes", slow)
    monkeypatch.setattr(feed, "heads", endless)
    async with running(replica.keep_up):
        for seq in (1, 2):
            await until(lambda seq=seq: has_looked(seq), "has looked")  # type: ignore[misc]
            feed.change()
            await ask_to_pull(silent.api, "things", ORG)
            await until(lambda seq=seq: stands_at(replica, seq), "pulled when asked", within=3)  # type: ignore[misc]
        assert broken_off == []


async def test_it_pulls_when_asked_and_nonsense_changes_nothing(
    silent: Things, replica: Replica, feed: Authority
) -> None:
    replica.look_every = 60.0

    feed.change()
    async with running(replica.keep_up):
        await until(lambda: stands_at(replica, 1), "pulled when it starts")
        for seq in (2, 3):
            feed.change()
            await ask_to_pull(silent.api, "somebody else", ORG)
            await silent.ask("SELECT pg_notify('bailiwick_pull', 'things:nonsense')")
            await ask_to_pull(silent.api, "things", ORG)
            await until(lambda seq=seq: stands_at(replica, seq), "pulled when asked", within=3)  # type: ignore[misc]
            feed.is_open = False
            await ask_to_pull(silent.api, "things", ORG)
            feed.is_open = True


async def test_a_crowd_that_asks_is_one_pull(
    silent: Things, replica: Replica, feed: Authority
) -> None:
    feed.change()
    replica.look_every = 60.0
    async with running(replica.keep_up):
        await until(lambda: stands_at(replica, 1))
        before = len(feed.asked)
        feed.change()
        await asyncio.gather(*(ask_to_pull(silent.api, "things", ORG) for _ in range(30)))

        await until(lambda: stands_at(replica, 2))
    assert len(feed.asked) - before < 20


async def test_pulling_and_consuming_at_once_end_like_the_authority(
    silent: Things, replica: Replica, feed: Authority
) -> None:
    thing_ids = [uuid4() for _ in range(4)]
    feed.page = 5

    async def change_and_consume(number: int) -> None:
        await consume(replica, [feed.change(thing_id=thing_ids[number % 4]) for _ in range(15)])

    async def pull() -> None:
        for _ in range(5):
            await replica.look()

    feed.change()
    await asyncio.gather(*(change_and_consume(number) for number in range(3)), pull(), pull())
    await replica.look()
    assert await kept(silent) == wanted(feed)
    assert await replica.position(ORG) == feed.head[ORG] == 46


async def test_all_that_the_feed_tells_is_read_with_what_changes_while_a_page_is_put_together(
    replica: Replica, feed: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    things = [uuid4() for _ in range(5)]
    for thing_id in things:
        feed.change(ORG, thing_id)
    feed.page = 2
    told, newest = dict[UUID, int](), feed.changes

    async def changing(org_id: UUID, after: int, limit: int = 1000) -> Changes:
        """Read the head, and the rows only after the next change, as a change feed under load does."""
        head = feed.head[org_id]
        if len(feed.asked) < 6:
            feed.change(org_id, things[0])
        found = [one for one in (await newest(org_id, after, limit)).changes if one["seq"] <= head]
        return Changes(head=head, complete=len(found) < feed.page, changes=found)

    def take(event: Event) -> None:
        told[event.subject] = event.version

    monkeypatch.setattr(feed, "changes", changing)

    assert await replica.read_all(ORG, take) == feed.head[ORG]
    assert told == {thing_id: version for (_, thing_id), version in wanted(feed).items()}
    assert await replica.position(ORG) == 0


async def test_a_feed_that_says_there_is_more_and_tells_nothing_is_no_answer(
    replica: Replica, feed: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def empty(*_: object) -> Changes:
        return Changes(head=7, complete=False, changes=[])

    monkeypatch.setattr(feed, "changes", empty)
    with pytest.raises(Unavailable):
        await replica.read_all(ORG, lambda _: None)


async def test_where_it_stands_is_set_either_way_and_what_follows_is_pulled(
    replica: Replica, feed: Authority, silent: Things
) -> None:
    for _ in range(3):
        feed.change()
    for seq in (9, 1):
        async with replica.alone(ORG) as connection:
            await replica.stand_at(connection, ORG, seq)
        assert await replica.position(ORG) == seq
    await replica.pull(ORG)
    assert await replica.position(ORG) == 3
    assert len(await kept(silent)) == 2


async def test_nobody_applies_anything_while_it_is_alone(replica: Replica, feed: Authority) -> None:
    event = feed.change()
    async with replica.alone(ORG):
        late = asyncio.create_task(consume(replica, [event]))
        await asyncio.sleep(0.2)
        assert not late.done()
    await late
    assert await replica.position(ORG) == 1
