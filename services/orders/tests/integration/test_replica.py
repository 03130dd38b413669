"""The replica of customers: whatever the order and number of events, the same rows and the same sight."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from bailiwick_contracts.customers import Assignment, Relation
from bailiwick_kit.bus.handling import Received
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_kit.database.engine import Database
from bailiwick_kit.replication.change_feed_client import ChangeFeedClient
from bailiwick_kit.replication.replica import Replica
from bailiwick_orders.store import fan_out, tables
from bailiwick_orders.store.replica import CustomersReplica
from bailiwick_testkit.fakes.people import DOOR_SECRET, Person
from bailiwick_testkit.services.application import served
from bailiwick_testkit.services.orders import OrdersService
from bailiwick_testkit.waiting import running, until

Rows = set[tuple[object, ...]]


@pytest.fixture
async def replica(market: OrdersService) -> AsyncIterator[Replica]:
    """The replica as the worker has it, before the change feed of the made-up customers."""
    async with (
        served(market.customers.application()) as (url,),
        ChangeFeedClient(url, SecretStr(DOOR_SECRET)) as feed,
    ):
        yield Replica(
            source="customers",
            database=market.shop.database,
            positions=tables.replica_positions,
            appliers=CustomersReplica().appliers(),
            feed=feed,
        )


async def rows(market: OrdersService, table: sa.Table, *names: str) -> Rows:
    async with market.shop.database.reading(market.shop.org_id) as connection:
        found = await connection.execute(sa.select(*(table.c[name] for name in names)))
        return {tuple(row) for row in found}


async def seen(market: OrdersService) -> Rows:
    names = ("member_id", "order_id", "relation", "valid_from", "valid_to")
    return await rows(market, tables.visibility, *names)


def due(market: OrdersService, orders: dict[UUID, tuple[UUID, UUID, datetime]]) -> Rows:
    """Return the visibility that follows: one row an author, and one a stretch of an assignment."""
    expected: dict[tuple[object, ...], datetime] = {}
    for order_id, (customer_id, author_id, listed_at) in orders.items():
        expected[author_id, order_id, "author", listed_at] = END_OF_TIME
        for one in market.customers.assignments.values():
            if one.customer_id == customer_id:
                key = (one.member_id, order_id, one.relation, one.valid_from)
                expected[key] = max(one.valid_to, expected.get(key, one.valid_to))
    return {(*key, valid_to) for key, valid_to in expected.items()}


async def a_history(market: OrdersService, people: list[Person], draw: random.Random) -> None:
    """Let customers make, assign, hand over, end and cancel at random; nothing is told yet."""
    told, now = market.customers, datetime.now(UTC)
    ids = [told.customer(f"C{number}") for number in range(4)]
    held: list[Assignment] = []
    for _ in range(25):
        who = draw.choice(people).member_id
        match draw.randrange(5):
            case 0:
                told.customer(f"C{draw.random()}", customer_id=draw.choice(ids))
            case 1 | 2:
                start = now + timedelta(hours=draw.choice([-2, -1, 0, 1]))
                relation: Relation = draw.choice(["main", "additional"])
                held.append(told.assign(draw.choice(ids), who, relation, valid_from=start))
            case 3 if held:
                old = held.pop(draw.randrange(len(held)))
                held.append(told.hand_over(old, who, now + timedelta(hours=draw.randrange(3))))
            case 4 if held:
                old = held.pop(draw.randrange(len(held)))
                told.end(old, old.valid_from)  # it never holds, and
                held.append(  # its successor begins when it would have: the two share their rows
                    told.assign(
                        old.customer_id, old.member_id, old.relation, valid_from=old.valid_from
                    )
                )


@pytest.mark.parametrize(("seed", "at_once"), [(0, 5000), (1, 5000), (2, 0), (3, 2)])
async def test_shuffled_and_repeated_events_come_to_the_same_rows_and_sight(
    market: OrdersService, monkeypatch: pytest.MonkeyPatch, seed: int, at_once: int
) -> None:
    """Whether what follows is written at once, or in pieces some time between other events."""
    monkeypatch.setattr(fan_out, "AT_ONCE", at_once)
    beside = fan_out.FanOut(market.shop.database, piece=2)
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    mia = await market.shop.member("brand_manager")
    people = [await market.shop.member("sales_representative") for _ in range(3)]
    await a_history(market, people, draw)
    events = [event for event in market.customers.told for _ in range(draw.choice([1, 1, 2]))]
    draw.shuffle(events)
    orders: dict[UUID, tuple[UUID, UUID, datetime]] = {}
    for event in events:
        await market.apply(event)
        if draw.random() < 0.3:
            await beside.round()
        known = [row[0] for row in await rows(market, tables.customers, "customer_id")]
        if known and draw.random() < 0.3:
            customer_id = UUID(str(draw.choice(known)))
            made = await market.order(mia, customer_id)
            orders[UUID(made["order_id"])] = (
                customer_id,
                mia.member_id,
                datetime.fromisoformat(made["listed_at"]),
            )

    while await beside.round():
        pass
    now = datetime.now(UTC)
    missing = due(market, orders) - await seen(market)
    assert all(row[4] <= now for row in missing), missing  # type: ignore[operator] # was over then
    assert await seen(market) <= due(market, orders)
    newest = {
        (one.assignment_id, one.version, one.valid_to)
        for one in market.customers.assignments.values()
    }
    kept = await rows(market, tables.assignments, "assignment_id", "version", "valid_to")
    assert kept == newest


async def test_a_gap_is_pulled_and_chunks_are_left_to_the_feed(
    market: OrdersService, replica: Replica
) -> None:
    ana = await market.shop.member("sales_representative")
    customer = market.customers.customer()
    market.customers.assign(customer, ana.member_id)
    [first, second] = market.customers.told
    chunk = second.model_copy(update={"chunks": 2})

    async with running(replica.keep_up):
        for event in (chunk, first):
            async with market.shop.database.writing(market.shop.org_id) as connection:
                await replica.receive(connection, [Received(event, uuid4())])

        async def is_whole() -> bool:
            return await replica.position(market.shop.org_id) == 2

        await until(is_whole)
    assert (await market.create(ana, customer)).status_code == 201


async def test_everything_is_pulled_from_nothing(market: OrdersService, replica: Replica) -> None:
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    customer = market.customers.customer()
    held = market.customers.assign(customer, ana.member_id)
    market.customers.hand_over(held, bruno.member_id, datetime.now(UTC))

    await replica.look()

    assert await replica.position(market.shop.org_id) == market.customers.head
    assert (await market.create(bruno, customer)).status_code == 201
    assert (await market.create(ana, customer)).status_code == 404


async def test_no_order_is_missed_that_is_written_while_its_customer_changes_hands(
    market: OrdersService,
) -> None:
    mia = await market.shop.member("brand_manager")
    people = [await market.shop.member("sales_representative") for _ in range(3)]
    customer = market.customers.customer()
    held = market.customers.assign(customer, people[0].member_id)
    await market.tell()

    async def reassign() -> None:
        nonlocal held
        for turn in range(12):
            who = people[turn % 3].member_id
            held = market.customers.hand_over(held, who, datetime.now(UTC))
            await market.tell()

    async def write() -> dict[UUID, tuple[UUID, UUID, datetime]]:
        made = [await market.order(mia, customer, place=True) for _ in range(10)]
        return {
            UUID(one["order_id"]): (
                customer,
                mia.member_id,
                datetime.fromisoformat(one["listed_at"]),
            )
            for one in made
        }

    written = await asyncio.gather(write(), write(), write(), reassign())
    orders = {order_id: of for part in written if part for order_id, of in part.items()}

    assert len(orders) == 30
    current = {row for row in due(market, orders) if row[4] == END_OF_TIME}
    assert current == {row for row in await seen(market) if row[4] == END_OF_TIME}


async def test_who_writes_an_order_waits_for_who_reassigns_and_sees_what_they_did(
    market: OrdersService,
) -> None:
    tom = await market.shop.member("sales_assistant")
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    customer = market.customers.customer()
    held = market.customers.assign(customer, ana.member_id)
    await market.tell()
    market.customers.hand_over(held, bruno.member_id, held.valid_from)
    [*_, event] = market.customers.told

    async with market.shop.database.writing(market.shop.org_id) as connection:
        await CustomersReplica().appliers()[type(event)](connection, [event])
        writing = asyncio.create_task(market.order(tom, customer, place=True))
        await asyncio.sleep(0.3)
        assert not writing.done()
    made = await writing

    assert made["credited_to"] == str(bruno.member_id)
    assert (await market.shop.api.get(bruno, made["path"])).status_code == 200


async def test_an_edit_waits_for_who_reassigns_and_is_decided_after(market: OrdersService) -> None:
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    customer = market.customers.customer()
    held = market.customers.assign(customer, ana.member_id)
    await market.tell()
    draft = await market.order(ana, customer)
    market.customers.hand_over(held, bruno.member_id, held.valid_from)
    [*_, event] = market.customers.told

    async with market.shop.database.writing(market.shop.org_id) as connection:
        await CustomersReplica().appliers()[type(event)](connection, [event])
        placing = asyncio.create_task(market.act(ana, draft["path"], "place"))
        await asyncio.sleep(0.3)
        assert not placing.done()

    assert (await placing).status_code == 404


async def test_nobody_sees_another_organizations_rows(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    await market.order(mia, await market.customer())
    names = (
        *("organizations", "members", "customers", "assignments", "replica_positions"),
        *("orders", "order_versions", "visibility", "idempotency_keys"),
    )
    async with Database(market.shop.urls.api) as database:
        for org_id in (uuid4(), None):
            async with database.reading(org_id) as connection:
                for name in names:
                    found = await connection.execute(sa.select(tables.metadata.tables[name]))
                    assert found.first() is None, name
        async with database.reading(market.shop.org_id) as connection:
            assert (await connection.execute(sa.select(tables.orders))).first() is not None


@pytest.mark.parametrize("name", ["outbox", "inbox", "audit"])
async def test_the_apis_role_does_not_read_what_is_the_workers(
    market: OrdersService, name: str
) -> None:
    async with Database(market.shop.urls.api) as database:
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            async with database.reading(market.shop.org_id) as connection:
                await connection.execute(sa.select(tables.metadata.tables[name]))


async def test_the_apis_role_locks_customers_and_changes_nothing_about_them(
    market: OrdersService,
) -> None:
    async with Database(market.shop.urls.api) as database:
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            async with database.writing(market.shop.org_id) as connection:
                await connection.execute(tables.customers.update().values(status="approved"))
