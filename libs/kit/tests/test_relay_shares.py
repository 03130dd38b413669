"""Whatever one organization has waiting, another's event is not behind it (ADR 15, 16)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest

from bailiwick_contracts.envelope import bulk
from bailiwick_kit.bus import relay_statements as statements
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.bus.outbox_notify import Wake, plain_dsn
from bailiwick_kit.bus.relay import BULK, LIVE, MOST_BYTES, LaneRelay
from bailiwick_kit.bus.shares import BURST, RATE, UNIT, Shares
from bailiwick_testkit.services.toy import QUEUE, ThingChanged, Things, changed
from bailiwick_testkit.waiting import running, until

MUCH, OTHER = UUID(int=1), UUID(int=2)
_NOBODY = UUID(int=0)


async def fill(
    things: Things,
    count: int,
    *,
    org_id: UUID = MUCH,
    is_bulk: bool = False,
    recipient: str | None = None,
    body: bytes = b"{}",
    failed: bool = False,
) -> None:
    """Have events of an organization wait; `failed`: they were tried, and are to be tried again."""
    await things.ask(
        """
        INSERT INTO outbox
            (event_id, org_id, subject, type, body, bulk, recipient, attempts, error, retry_at)
        SELECT gen_random_uuid(), $1, gen_random_uuid(), $2, $3, $4, $5,
            CASE WHEN $6 THEN 1 ELSE 0 END, CASE WHEN $6 THEN 'PublishError' END,
            CASE WHEN $6 THEN now() END
        FROM generate_series(1, $7::int)
        """,
        *(org_id, ThingChanged.type, body, is_bulk, recipient, failed, count),
    )


@asynccontextmanager
async def heard(things: Things, queue: str = QUEUE) -> AsyncIterator[Callable[[str], bool]]:
    """Tell whether an event has arrived."""
    ids: set[str | None] = set()

    async def take(message: object) -> None:
        ids.add(getattr(message, "message_id", None))

    async with open_channel(things.broker_url, "test") as channel:
        await (await channel.get_queue(queue)).consume(take, no_ack=True)
        yield lambda event_id: event_id in ids


async def left(things: Things) -> int:
    """Count what the busy organization has waiting that was never tried, or not again."""
    return int(
        await things.one(
            "SELECT count(*) FROM outbox WHERE org_id = $1 AND sent_at IS NULL AND attempts < 2"
            " AND (retry_at IS NULL OR attempts = 1 AND retry_at <= now())",
            MUCH,
        )
    )


WAITING = {
    "what it does now": {},
    "bulk": {"is_bulk": True},
    "what has no queue": {"recipient": "subscriber.typo"},
    "bulk that has no queue": {"recipient": "subscriber.typo", "is_bulk": True},
    "what is tried again": {"recipient": "subscriber.typo", "failed": True},
}


@pytest.mark.parametrize(
    "count", [5_000, pytest.param(150_000, marks=pytest.mark.slow)], ids=["some", "very many"]
)
@pytest.mark.parametrize("kind", WAITING)
async def test_an_event_is_not_behind_what_another_organization_has_waiting(
    things: Things, kind: str, count: int
) -> None:
    await fill(things, count, **WAITING[kind])  # type: ignore[arg-type]
    wake = Wake(things.urls.api)
    things.api.after_commit(wake.call)
    async with heard(things) as has_arrived, running(things.relay().run, wake.run):
        for _ in range(5):
            [event_id] = await things.change(changed(OTHER))

            async def is_here(event_id: UUID = event_id) -> bool:
                return has_arrived(str(event_id))

            await until(is_here, within=60)
    assert await left(things) > count / 2


@pytest.mark.parametrize("is_tried", [False, True], ids=["new", "tried again"])
async def test_bulk_is_not_behind_another_organizations_bulk(
    things: Things, is_tried: bool
) -> None:
    await fill(
        things,
        5_000,
        is_bulk=True,
        recipient="subscriber.typo" if is_tried else None,
        failed=is_tried,
    )
    await fill(things, 1, org_id=OTHER, is_bulk=True, failed=is_tried)
    async with running(things.relay().run):

        async def is_sent() -> bool:
            statement = "SELECT sent_at IS NOT NULL FROM outbox WHERE org_id = $1"
            return bool(await things.one(statement, OTHER))

        await until(is_sent, within=60)
        assert await left(things) > 2_500


async def test_of_more_organizations_than_are_read_at_a_time_each_has_its_turn(
    things: Things,
) -> None:
    count = statements.MOST_ORGANIZATIONS + 10
    for number in range(1, count + 1):
        await fill(things, 20, org_id=UUID(int=number), is_bulk=True)
    database = await asyncpg.connect(
        plain_dsn(things.urls.worker), server_settings=dict(statements.SETTINGS)
    )
    try:
        lane, whose = LaneRelay(things.relay(), BULK), list[set[UUID]]()
        for _ in range(3):
            rows, _ = await lane._look(database, [], BULK.page)
            whose.append({row["org_id"] for row in rows})
    finally:
        await database.close()
    assert whose[0] | whose[1] == {UUID(int=number) for number in range(1, count + 1)}
    assert whose[2] == whose[0]


async def test_what_is_beyond_a_share_goes_on_in_bulk(things: Things) -> None:
    beyond, burst = 50, 100
    await things.change(*(changed(MUCH) for _ in range(burst + beyond)))
    [other] = await things.change(changed(OTHER))
    shares = Shares(rate=0, burst=burst)
    async with running(things.relay(shares=shares).run):

        async def is_empty() -> bool:
            return await things.unsent() == 0

        await until(is_empty, within=60)
    assert await things.one("SELECT count(*) FROM outbox WHERE bulk") == beyond
    assert not await things.one("SELECT bulk FROM outbox WHERE event_id = $1", other)
    async with open_channel(things.broker_url, "test") as channel:
        queues = [await channel.declare_queue(q, passive=True) for q in (QUEUE, bulk(QUEUE))]
    assert [queue.declaration_result.message_count for queue in queues] == [
        burst + 1,
        beyond,
    ]


def test_a_share_fills_up_again_and_never_beyond_its_size() -> None:
    shares = Shares()
    taken = sum(shares.take(MUCH, 1, 0.0) for _ in range(int(BURST) + 10))
    assert taken == BURST
    assert shares.take(OTHER, 1, 0.0), "another organization has its own"
    assert sum(shares.take(MUCH, 1, 1.0) for _ in range(1000)) == RATE
    assert sum(shares.take(MUCH, 1, 1e6) for _ in range(1000)) == BURST


def test_an_event_counts_by_its_size() -> None:
    shares = Shares()
    assert not shares.take(MUCH, int(BURST) * UNIT, 0.0), "as a handover of all customers"
    assert sum(shares.take(MUCH, 10 * UNIT, 0.0) for _ in range(1000)) == BURST // 11
    assert shares.take(MUCH, 1, 0.0), "a small one still goes"


def test_whole_shares_are_forgotten() -> None:
    shares = Shares()
    for number in range(10_001):
        shares.take(UUID(int=number), 1, 0.0)
    shares.take(MUCH, 1, 100.0)
    assert len(shares._left) == 1


async def test_rows_are_read_by_bytes_as_well_as_by_number(things: Things) -> None:
    large = MOST_BYTES // 4
    await fill(things, 12, is_bulk=True, body=b"x" * large)
    await fill(things, 2, org_id=OTHER, is_bulk=True, body=b"x" * (MOST_BYTES + 1))
    database = await asyncpg.connect(
        plain_dsn(things.urls.worker), server_settings=dict(statements.SETTINGS)
    )
    try:
        lane, read, sizes = LaneRelay(things.relay(), BULK), list[int](), list[int]()
        while rows := (await lane._look(database, read, BULK.page))[0]:
            sizes.append(sum(len(row["body"]) for row in rows))
            read += [row["position"] for row in rows]
    finally:
        await database.close()
    assert len(read) == len(set(read)) == 14
    assert max(sizes) <= MOST_BYTES + MOST_BYTES + 1
    async with running(things.relay().run):

        async def is_empty() -> bool:
            return await things.unsent() == 0

        await until(is_empty, within=60)


@pytest.mark.parametrize("lane", [LIVE, BULK], ids=["live", "bulk"])
async def test_no_look_passes_over_rows_of_others(things: Things, lane: object) -> None:
    """The plans are those of an empty outbox, kept by the connection: they are right for a full one."""
    database = await asyncpg.connect(
        plain_dsn(things.urls.worker),
        server_settings={**statements.SETTINGS, "plan_cache_mode": "force_generic_plan"},
    )
    try:
        for name, statement, index in (
            ("untried", statements.UNTRIED, "outbox_untried"),
            ("tried", statements.TRIED, "outbox_tried"),
        ):
            await database.execute(f"PREPARE {name} AS {statement}")
            values = f"({lane is BULK}, 50, '{{}}', 1000000, '{_NOBODY}')"
            lines = await database.fetch(f"EXPLAIN EXECUTE {name}{values}")
            plan = "\n".join(line[0] for line in lines)
            assert plan.count(" on outbox") == plan.count(f"using {index} on outbox") == 3, plan
    finally:
        await database.close()
