"""Recounting beside trade: piece by piece, readers see each customer before or after, events hardly wait."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from bailiwick_kit.database.engine import Database
from bailiwick_reports.main import DEADLINE
from bailiwick_reports.store import cube, tables
from bailiwick_reports.store.cube import keep_counting_out
from bailiwick_reports.store.cube_rebuild import PIECE, Cube
from bailiwick_testkit.fakes.orders import MadeUpOrders
from bailiwick_testkit.fakes.people import LONG_AGO
from bailiwick_testkit.services.reports_rebuild import ReportsRebuild
from bailiwick_testkit.waiting import until

MANY = """
    INSERT INTO orders (org_id, order_id, customer_id, author_id, credited_to, source, order_date, currency,
        state, author_keeps_view, pieces, net, version)
    SELECT $1, gen_random_uuid(), md5('customer ' || n % $2)::uuid, md5('author ' || n % 7)::uuid,
        md5('author ' || n % 7)::uuid, 'import', DATE '2026-01-01' + n % 300, 'EUR', 'placed', true, 3, 1.5, 1
    FROM generate_series(1, $3) AS n
"""
"""Orders that events told, of so many customers; the cube knows none of them yet."""
_APART = """
    SELECT coalesce(s.net, 0) - coalesce(o.net, 0) AS apart
    FROM (SELECT customer_id, sum(net) AS net FROM sales GROUP BY 1) s
    FULL JOIN (SELECT customer_id, sum(net) AS net FROM orders WHERE order_date IS NOT NULL GROUP BY 1) o
    USING (customer_id)
"""


@asynccontextmanager
async def trade(books: ReportsRebuild, customers: list[UUID]) -> AsyncIterator[list[float]]:
    """Let events be counted all the time, as the worker does; give the seconds that each few took."""
    members, done = [uuid4() for _ in range(3)], asyncio.Event()
    draw, took = random.Random(2), list[float]()  # noqa: S311 - not for secrets
    orders = MadeUpOrders(books.shop.org_id)

    async def arrive(database: Database) -> None:
        while not done.is_set():
            before, began = len(orders.told), time.perf_counter()
            orders.trade(draw, customers, members, acts=5)
            if told := orders.told[before:]:
                async with database.writing(books.shop.org_id) as connection:
                    await cube.count(connection, told)
                took.append(time.perf_counter() - began)

    async with Database(books.shop.urls.worker, pool=2) as database:
        trading = asyncio.create_task(arrive(database))
        try:
            yield took
        finally:
            done.set()
            await trading


def operating(books: ReportsRebuild) -> Database:
    """Open the database as an operator's command does."""
    return Database(books.shop.urls.worker, pool=2, deadline=DEADLINE)


async def are_apart(books: ReportsRebuild) -> bool:
    """Tell whether any cell is not what its orders come to."""
    return any([counted != kept async for _, counted, kept in books.cube.cells(books.shop.org_id)])


async def test_readers_see_each_customer_before_or_after_a_recount_and_events_count_meanwhile(
    books: ReportsRebuild,
) -> None:
    harm, seen = Decimal(10**9), set[Decimal]()
    customers, done = [uuid4() for _ in range(30)], asyncio.Event()

    async def read() -> None:
        async with Database(books.shop.urls.api) as database:
            while not done.is_set():
                async with database.reading(books.shop.org_id) as connection:
                    seen.update((await connection.exec_driver_sql(_APART)).scalars())

    async def recount_again_and_again() -> None:
        for _ in range(4):
            damaged = (
                _a_cell_more(books, one, net) for one in customers for net in (harm, 2 * harm)
            )
            await books.damage(*damaged)
            await Cube(books.shop.database, piece=20).recount(books.shop.org_id, forgetting=False)
        done.set()

    async with trade(books, customers):
        await asyncio.gather(read(), recount_again_and_again())

    assert seen == {Decimal(0), 3 * harm}  # and never the one half of a customer without the other
    assert not await are_apart(books)


def _a_cell_more(books: ReportsRebuild, customer_id: UUID, net: Decimal) -> sa.Executable:
    whose = {"org_id": books.shop.org_id, "customer_id": customer_id}
    by = {name: uuid4() for name in ("author_id", "credited_to")}
    described = {"source": "phone", "order_date": LONG_AGO.date(), "currency": "EUR"}
    figures = {"state": "placed", "orders": 1, "pieces": 1, "net": net}
    return tables.sales.insert().values(**whose, **by, **described, **figures)


@pytest.mark.parametrize(
    ("orders", "customers", "piece"),
    [
        pytest.param(4_000, 400, 40, id="4,000"),
        pytest.param(1_000_000, 50_000, PIECE, id="1,000,000", marks=pytest.mark.slow),
    ],
)
async def test_an_event_waits_for_a_piece_of_a_recount_and_not_for_all_of_it(
    books: ReportsRebuild, orders: int, customers: int, piece: int
) -> None:
    org_id = books.shop.org_id
    async with operating(books) as database:
        async with database.writing(org_id) as connection:
            await connection.exec_driver_sql(MANY, (org_id, customers, orders))
        known = sa.select(tables.orders.c.customer_id).distinct().limit(20)
        async with database.reading(org_id) as connection:
            some = list((await connection.execute(known)).scalars())
        async with trade(books, [*some, uuid4()]) as took:
            await until(lambda: _is_true(took), "the first are counted")
            took.clear()
            began = time.perf_counter()
            await Cube(database, piece).recount(org_id, forgetting=False)
            seconds = time.perf_counter() - began
        assert not await are_apart(books)
        assert len(took) > 10
        assert max(took) < seconds / 3
        async with trade(books, some) as took:
            gone, come = await Cube(database, piece).recount(org_id, forgetting=True)
    assert gone > 0 == come
    assert not await are_apart(books)


async def _is_true(value: object) -> bool:
    return bool(value)


async def test_a_piece_that_cannot_go_on_lets_events_pass_and_is_tried_again(
    books: ReportsRebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cube, "HOLD", "100ms")
    org_id, customer_id = books.shop.org_id, uuid4()
    await books.damage(_a_cell_more(books, customer_id, Decimal(1)))
    cells = sa.select(tables.sales).where(tables.sales.c.customer_id == customer_id)
    async with (
        operating(books) as database,
        trade(books, [uuid4()]) as took,
    ):
        cut_off: list[object] = []
        sa.event.listen(database.engine.sync_engine, "handle_error", cut_off.append)
        async with database.writing(org_id) as connection:
            await connection.execute(cells.with_for_update())
            recount = Cube(database).recount(org_id, forgetting=False)
            recounting = asyncio.create_task(recount)
            await until(lambda: _is_true(cut_off), "an attempt took too long")
            before = len(took)
            await until(lambda: _is_true(len(took) > before), "events are counted")
            assert not recounting.done()
        await recounting
    assert not await are_apart(books)


async def test_who_froze_while_recounting_is_cut_off_before_who_counts_gives_up(
    books: ReportsRebuild,
) -> None:
    books.orders.placed(uuid4(), uuid4(), None)
    counting = list[asyncio.Task[None]]()

    async def frozen(database: Database) -> None:
        async with database.writing(books.shop.org_id) as connection:
            await keep_counting_out(connection, books.shop.org_id)
            counting.append(asyncio.create_task(books.hear(books.orders.told[-1])))
            await asyncio.wait(counting)
            await connection.execute(tables.sales.delete())

    async with operating(books) as database:
        with pytest.raises(sa.exc.DBAPIError):
            await frozen(database)
    await counting[0]
    assert not await are_apart(books)


async def test_a_recount_that_waits_for_who_counts_holds_up_nobody_else_for_long(
    books: ReportsRebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cube, "HOLD", "100ms")
    first, second = [
        books.orders.newest[books.orders.placed(uuid4(), uuid4(), None)] for _ in range(2)
    ]
    async with operating(books) as database:
        async with database.writing(books.shop.org_id) as connection:
            await cube.count(connection, [first])
            recount = Cube(database).recount(books.shop.org_id, forgetting=False)
            recounting = asyncio.create_task(recount)
            await asyncio.sleep(0.05)
            await books.hear(second)
            assert not recounting.done()
        await recounting
    assert not await are_apart(books)
