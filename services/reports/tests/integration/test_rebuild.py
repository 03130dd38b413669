"""Rebuilding: as it is live, however it was damaged, while reports serves and events go on arriving."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.envelope import Event, Sequenced
from bailiwick_kit.bus.handling import Received
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_kit.database.engine import Database
from bailiwick_kit.errors import Unavailable
from bailiwick_reports.main import operator
from bailiwick_reports.settings import Settings
from bailiwick_reports.store import cube, tables
from bailiwick_testkit.fakes.customers import MadeUpCustomers
from bailiwick_testkit.fakes.orders import MadeUpOrders
from bailiwick_testkit.fakes.people import LONG_AGO
from bailiwick_testkit.services.application import settings_for
from bailiwick_testkit.services.reports_rebuild import ReportsRebuild
from bailiwick_testkit.services.service_under_test import ServiceUnderTest
from bailiwick_testkit.waiting import until


def planted(table: sa.Table, row: Any, **changes: Any) -> sa.Executable:
    return table.insert().values(**{**row, **changes})


async def a_row(books: ReportsRebuild, table: sa.Table) -> dict[str, Any]:
    async with books.shop.database.reading(books.shop.org_id) as connection:
        return dict((await connection.execute(sa.select(table))).mappings().first() or {})


async def test_what_is_live_is_what_a_rebuild_comes_to(books: ReportsRebuild) -> None:
    live = await books.digest()
    assert not await books.verify()
    said = await books.rebuild()
    assert await books.digest() == live
    assert said == [
        "identity: 0 rows mended",
        "customers: 0 rows mended",
        "sales: 0 cells taken out, 0 put in",
    ]


async def test_a_service_with_nothing_in_it_is_built_from_feeds_and_snapshots(
    books: ReportsRebuild,
) -> None:
    live = await books.digest()
    every = [table for name, table in tables.metadata.tables.items() if name != "inbox"]
    await books.damage(*(table.delete() for table in every))
    await books.rebuild()
    await books.hear(*books.orders.snapshots())
    assert await books.digest() == live


Harm = Callable[[ReportsRebuild], Awaitable[Sequence[sa.Executable]]]


async def _rows_changed(_: ReportsRebuild) -> Sequence[sa.Executable]:
    return (
        tables.customers.update().values(name="Somebody else", country=None),
        tables.members.update().values(status="inactive", permissions=["seller"]),
        tables.organizations.update().values(time_zone="UTC", settings={}),
        tables.assignments.update().values(member_id=uuid4()),
    )


async def _rows_ahead_of_their_owner(_: ReportsRebuild) -> Sequence[sa.Executable]:
    return (
        tables.customers.update().values(status="pending", version=tables.customers.c.version + 9),
        tables.assignments.update().values(valid_to=LONG_AGO, version=99),
    )


async def _rows_gone(_: ReportsRebuild) -> Sequence[sa.Executable]:
    return (tables.customers.delete(), tables.members.delete(), tables.assignments.delete())


async def _rows_planted(books: ReportsRebuild) -> Sequence[sa.Executable]:
    customer = await a_row(books, tables.customers)
    held = await a_row(books, tables.assignments)
    return (
        planted(tables.customers, customer, customer_id=uuid4(), seq=1),
        planted(tables.assignments, held, assignment_id=uuid4(), seq=1, valid_to=END_OF_TIME),
    )


async def _cells_changed(_: ReportsRebuild) -> Sequence[sa.Executable]:
    net = tables.sales.c.net + Decimal("0.0001")
    return (tables.sales.update().where(tables.sales.c.currency == "EUR").values(net=net),)


async def _cells_gone(_: ReportsRebuild) -> Sequence[sa.Executable]:
    return (tables.sales.delete().where(tables.sales.c.currency == "EUR"),)


async def _a_cell_planted(books: ReportsRebuild) -> Sequence[sa.Executable]:
    cell = await a_row(books, tables.sales)
    return (planted(tables.sales, cell, author_id=uuid4()),)


MENDED = [
    _rows_changed,
    _rows_ahead_of_their_owner,
    _rows_gone,
    _rows_planted,
    _cells_changed,
    _cells_gone,
    _a_cell_planted,
]


@pytest.mark.parametrize("harm", MENDED, ids=lambda harm: harm.__name__.strip("_"))
async def test_what_was_damaged_is_found_and_mended(books: ReportsRebuild, harm: Harm) -> None:
    live = await books.digest()
    await books.damage(*await harm(books))
    found = await books.verify()
    assert found
    assert "rebuild" in found.advice(books.shop.org_id)
    assert all(one.told == one.counted for one in found.cells)

    await books.rebuild()

    assert not await books.verify()
    assert await books.digest() == live


async def test_a_position_ahead_of_its_authority_is_set_back(books: ReportsRebuild) -> None:
    books.customers.customer("Told, and passed over")
    await books.damage(tables.replica_positions.update().values(seq=1000))
    assert await books.verify()
    await books.rebuild()
    assert not await books.verify()
    assert await books.replicas[1].position(books.shop.org_id) == books.customers.head


async def _orders_changed(_: ReportsRebuild) -> Sequence[sa.Executable]:
    return (tables.orders.update().values(net=tables.orders.c.net * 2, state="placed"),)


async def _orders_gone(_: ReportsRebuild) -> Sequence[sa.Executable]:
    return (tables.orders.delete().where(tables.orders.c.currency == "EUR"),)


@pytest.mark.parametrize("is_rebuilt_first", [True, False])
@pytest.mark.parametrize(
    "harm", [_orders_changed, _orders_gone], ids=lambda harm: harm.__name__.strip("_")
)
async def test_what_orders_count_for_is_mended_by_snapshots_before_a_rebuild_or_after(
    books: ReportsRebuild, harm: Harm, is_rebuilt_first: bool
) -> None:
    live = await books.digest()
    await books.damage(*await harm(books))
    found = await books.verify()
    assert any(one.told != one.counted for one in found.cells)
    assert "republish" in found.advice(books.shop.org_id)

    if is_rebuilt_first:
        await books.rebuild()
    await books.hear(*books.orders.snapshots())
    if not is_rebuilt_first:
        await books.rebuild()

    assert await books.digest() == live


async def test_what_orders_never_told_is_forgotten_from_nothing(books: ReportsRebuild) -> None:
    live = await books.digest()
    contribution = await a_row(books, tables.orders)
    dated = {"order_id": uuid4(), "order_date": LONG_AGO.date(), "version": 7}
    await books.damage(planted(tables.orders, contribution, **dated))
    await books.rebuild()
    await books.hear(*books.orders.snapshots())
    assert "from-nothing" in (await books.verify()).advice(books.shop.org_id)

    await books.rebuild(forgetting=True)
    await books.hear(*books.orders.snapshots())

    assert await books.digest() == live


async def test_a_recount_waits_for_who_counts_and_who_counts_waits_for_it(
    books: ReportsRebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cube, "HOLD", "60s")
    [first, second] = (books.orders.placed(uuid4(), uuid4(), None) for _ in range(2))
    [*_, one, two] = books.orders.told
    await books.damage(tables.sales.delete())
    async with Database(books.shop.urls.worker, pool=2) as database:
        async with database.writing(books.shop.org_id) as connection:
            await cube.count(connection, [one])
            recounting = asyncio.create_task(books.rebuild())
            await until(lambda: _waiting(books))
            counting = asyncio.create_task(books.hear(two))
            await asyncio.sleep(0.2)
            assert not recounting.done()
            assert not counting.done()
        await recounting
        await counting
    assert {first, second} <= books.orders.newest.keys()
    assert not await books.verify()


async def _waiting(books: ReportsRebuild) -> bool:
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with books.shop.database.reading(None) as connection:
        return bool((await connection.exec_driver_sql(query)).scalar())


async def test_replicas_are_mended_while_their_events_arrive(books: ReportsRebuild) -> None:
    draw = random.Random(4)  # noqa: S311 - likewise
    _, replica = books.replicas
    people = [(await books.shop.member("sales_representative")).member_id for _ in range(2)]
    ids = list(books.customers.assignments)

    async def tell(event: Sequenced) -> None:
        async with books.shop.database.writing(event.org_id) as connection:
            await replica.receive(connection, [Received(event, uuid4())])

    async def go_on() -> None:
        for turn in range(40):
            name, held = f"N{turn}", books.customers.assignments[draw.choice(ids)]
            books.customers.customer(name, customer_id=held.customer_id)
            told = [books.customers.told[-1]]
            if turn % 3 == 0:
                made = books.customers.hand_over(held, draw.choice(people), held.valid_from)
                ids.append(made.assignment_id)
                told.append(books.customers.told[-1])
            draw.shuffle(told)
            for event in told:
                await tell(event)

    async def mend() -> None:
        for _ in range(8):
            await books.damage(tables.customers.update().values(name="?"))
            await books.rebuild()

    await asyncio.gather(go_on(), mend())
    await replica.pull(books.shop.org_id)

    assert not await books.verify()
    assert await replica.position(books.shop.org_id) == books.customers.head


async def test_a_feed_that_is_shut_leaves_everything_as_it_was(shop: ServiceUnderTest) -> None:
    async with operator(settings_for(Settings, shop.urls)) as (cube, copies):
        books = ReportsRebuild(
            shop, MadeUpCustomers(shop.org_id), MadeUpOrders(shop.org_id), cube, copies
        )
        before = await books.digest()
        with pytest.raises(Unavailable):
            await books.rebuild()
        with pytest.raises(Unavailable):
            await books.verify()
        assert await books.digest() == before


async def test_an_event_under_way_is_waited_for_and_no_difference(books: ReportsRebuild) -> None:
    books.orders.placed(uuid4(), uuid4(), None)
    [*_, event] = books.orders.told
    assert await books.verify()

    async def arrives() -> None:
        await asyncio.sleep(0.2)
        await books.hear(event)

    found, _ = await asyncio.gather(books.verify(patience=10), arrives())

    assert not found


async def test_what_no_event_brought_yet_is_pulled_and_no_difference(books: ReportsRebuild) -> None:
    held = next(iter(books.customers.assignments.values()))
    books.customers.end(held)
    books.customers.customer("One more")
    books.shop.identity.organization(org_id=books.shop.org_id, currency="GBP")
    assert not await books.verify()


async def test_what_changed_since_the_feed_was_read_is_no_difference(
    books: ReportsRebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next change arrives after the change feed was read, and before the rows are."""
    customer_id = next(iter(books.customers.assignments.values())).customer_id
    _, replica = books.replicas
    read_all = replica.read_all

    async def read_and_go_on(org_id: UUID, take: Callable[[Event], None]) -> int:
        head = await read_all(org_id, take)
        books.customers.customer("A newer name", customer_id=customer_id)
        books.customers.customer("One more")
        await replica.pull(org_id)
        return head

    monkeypatch.setattr(replica, "read_all", read_and_go_on)
    assert not await books.verify()
    await books.rebuild()
    monkeypatch.undo()
    assert not await books.verify()


async def test_nobody_sees_another_organization_s_rows(books: ReportsRebuild) -> None:
    names = [name for name in tables.metadata.tables if name != "inbox"]

    async def rows(connection: AsyncConnection, name: str) -> Any:
        found = await connection.execute(sa.select(tables.metadata.tables[name]))
        return found.first()

    async with Database(books.shop.urls.api) as database:
        for org_id in (uuid4(), None):
            async with database.reading(org_id) as connection:
                assert not [name for name in names if await rows(connection, name)]
        async with database.reading(books.shop.org_id) as connection:
            assert not [name for name in names if not await rows(connection, name)]


@pytest.mark.parametrize("name", sorted(tables.metadata.tables))
async def test_the_api_s_role_writes_nothing(books: ReportsRebuild, name: str) -> None:
    async with Database(books.shop.urls.api) as database:
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            async with database.writing(books.shop.org_id) as connection:
                await connection.execute(tables.metadata.tables[name].delete())
