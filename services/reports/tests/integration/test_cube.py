"""The cube: whatever the order and number of events, what orders itself would add up."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from bailiwick_contracts.orders import OrderConfirmed, OrderEvent
from bailiwick_kit.database.engine import Database
from bailiwick_reports.store import cube, tables
from bailiwick_reports.store.cube import FIGURES
from bailiwick_testkit.fakes.orders import KEY, MadeUpOrders, a_line
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

Sums = dict[tuple[Any, ...], tuple[int, Decimal, Decimal]]


async def hear(database: Database, *events: OrderEvent, most: int = 1) -> None:
    """Take events one after the other, so many in a transaction, as the consumer would."""
    for first in range(0, len(events), most):
        some = events[first : first + most]
        async with database.writing(some[0].org_id) as connection:
            await cube.count(connection, some)


async def kept(shop: ServiceUnderTest) -> Sums:
    """Return the cube as orders would tell it."""
    async with shop.database.reading(shop.org_id) as connection:
        rows = (await connection.execute(sa.select(tables.sales))).mappings().all()
    sums = {}
    for row in rows:
        credited = None if row["credited_to"] == tables.HOUSE else row["credited_to"]
        key = tuple(credited if name == "credited_to" else row[name] for name in KEY)
        sums[key] = (row["orders"], row["pieces"], row["net"])
    return sums


async def versions(shop: ServiceUnderTest) -> dict[UUID, int]:
    async with shop.database.reading(shop.org_id) as connection:
        found = await connection.execute(sa.select(*tables.orders.c["order_id", "version"]))
        return {row.order_id: row.version for row in found}


def some(count: int) -> list[UUID]:
    return [uuid4() for _ in range(count)]


@pytest.mark.parametrize(("seed", "most"), list(enumerate([1, 1, 3, 17, 60, 250])))
async def test_shuffled_and_repeated_events_come_to_what_orders_adds_up(
    shop: ServiceUnderTest, seed: int, most: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    orders = MadeUpOrders(shop.org_id)
    orders.trade(draw, some(3), some(3), acts=60)
    earlier = orders.snapshots()
    orders.trade(draw, some(1), some(2), acts=40)
    events = [one for one in orders.told for _ in range(draw.choice([1, 1, 2]))]
    events += [*earlier, *orders.snapshots()]
    draw.shuffle(events)

    await hear(shop.database, *events, most=most)

    assert await kept(shop) == orders.tally()
    assert await versions(shop) == {one.order_id: one.version for one in orders.newest.values()}


async def test_in_order_the_cube_is_right_after_every_event(shop: ServiceUnderTest) -> None:
    draw = random.Random(11)  # noqa: S311 - likewise
    orders = MadeUpOrders(shop.org_id)
    customers, members = some(2), some(2)
    for _ in range(60):
        before = len(orders.told)
        orders.trade(draw, customers, members, acts=1)
        await hear(shop.database, *orders.told[before:])
        assert await kept(shop) == orders.tally()


async def test_credit_with_the_house_adds_up_to_all_that_counts_as_sold(
    shop: ServiceUnderTest,
) -> None:
    orders = MadeUpOrders(shop.org_id)
    orders.trade(random.Random(3), some(3), some(3), acts=150)  # noqa: S311 - likewise
    await hear(shop.database, *orders.told)
    sold = {"placed", "confirmed", "fulfilled"}
    by_credit: dict[tuple[object, str], Decimal] = defaultdict(Decimal)
    for key, (_, _, net) in (await kept(shop)).items():
        if key[KEY.index("state")] in sold:
            by_credit[key[KEY.index("credited_to")], key[KEY.index("currency")]] += net
    assert {credited for credited, _ in by_credit} > {None}
    for currency in ("EUR", "GBP"):
        expected = sum(
            one.net
            for one in orders.newest.values()
            if one.state in sold and one.currency == currency
        )
        credits_ = [net for (_, of), net in by_credit.items() if of == currency]
        assert sum(credits_) == expected > 0


@pytest.mark.parametrize("most", [1, 20])
async def test_many_who_count_at_once_neither_lose_nor_double_nor_lock_each_other_up(
    shop: ServiceUnderTest, most: int
) -> None:
    draw = random.Random(5)  # noqa: S311 - likewise
    orders = MadeUpOrders(shop.org_id)
    # Few customers, members and orders: everybody meets in the same rows and cells.
    orders.trade(draw, some(1), some(1), acts=120)
    parts = []
    for _ in range(6):
        part = list(orders.told)
        draw.shuffle(part)
        parts.append(part)
    async with Database(shop.urls.worker, pool=6) as database:
        await asyncio.gather(*(hear(database, *part, most=most) for part in parts))
    assert await kept(shop) == orders.tally()


async def test_two_orders_that_change_places_again_and_again_do_not_lock_each_other_up(
    shop: ServiceUnderTest,
) -> None:
    """Each empties the cell that the other one enters."""
    orders = MadeUpOrders(shop.org_id)
    customer, member = some(2)
    states = ("placed", "confirmed")
    pair = [orders.placed(customer, member, member, state=state) for state in states]
    for turn in range(1, 60):
        for offset, order_id in enumerate(pair):
            orders.change(OrderConfirmed, order_id, state=states[(turn + offset) % 2])
    async with Database(shop.urls.worker, pool=2) as database:
        await asyncio.gather(
            *(hear(database, *(e for e in orders.told if e.order_id == one)) for one in pair)
        )
    assert await kept(shop) == orders.tally()


async def test_who_counts_an_order_for_the_first_time_waits_for_who_does_so_too(
    shop: ServiceUnderTest,
) -> None:
    orders = MadeUpOrders(shop.org_id)
    order_id = orders.placed(uuid4(), uuid4(), None)
    orders.confirm(order_id)
    [placed, confirmed] = orders.told
    async with Database(shop.urls.worker, pool=2) as database:
        async with database.writing(shop.org_id) as connection:
            await cube.count(connection, [confirmed])
            late = asyncio.create_task(hear(database, placed))
            await asyncio.sleep(0.2)
            assert not late.done()
        await late
    assert await kept(shop) == orders.tally()


async def test_many_orders_take_no_more_statements_than_a_few(shop: ServiceUnderTest) -> None:
    """Of new orders and known ones, of which some leave the last of a cell."""
    orders = MadeUpOrders(shop.org_id)
    statements: list[str] = []
    sa.event.listen(
        shop.database.engine.sync_engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: statements.append(statement),
    )
    taken = []
    for count in (2, 200):
        known = [orders.placed(uuid4(), uuid4(), None) for _ in range(count)]
        await hear(shop.database, *orders.told[-count:], most=count)
        statements.clear()
        for order_id in known:
            orders.cancel(order_id)
            orders.placed(uuid4(), uuid4(), None)
        await hear(shop.database, *orders.told[-2 * count :], most=2 * count)
        taken.append(len(statements))
    assert await kept(shop) == orders.tally()
    assert taken[0] == taken[1]


async def test_a_cell_that_the_last_order_leaves_is_gone(shop: ServiceUnderTest) -> None:
    orders = MadeUpOrders(shop.org_id)
    order_id = orders.placed(uuid4(), uuid4(), None)
    orders.cancel(order_id)
    await hear(shop.database, *orders.told)
    assert list(await kept(shop)) == list(orders.tally())
    assert {key[KEY.index("state")] for key in await kept(shop)} == {"cancelled"}


async def test_what_was_never_placed_is_in_no_cell(shop: ServiceUnderTest) -> None:
    orders = MadeUpOrders(shop.org_id)
    [draft, never] = [orders.draft(*some(2)) for _ in range(2)]
    orders.edit(draft, a_line("3", "9.99"))
    orders.cancel(never)
    await hear(shop.database, *orders.told)
    assert await kept(shop) == {}
    assert await versions(shop) == {draft: 2, never: 2}


async def test_pieces_and_net_are_exact_beyond_what_an_order_can_hold(
    shop: ServiceUnderTest,
) -> None:
    orders = MadeUpOrders(shop.org_id)
    customer, member = some(2)
    largest = a_line("1", "99999999999999.9999")
    for _ in range(3):
        orders.placed(customer, member, member, lines=[largest])
    await hear(shop.database, *orders.told)
    [(count, pieces, net)] = (await kept(shop)).values()
    assert (count, pieces, net) == (3, Decimal(3), Decimal("299999999999999.9997"))


async def test_a_cell_has_room_for_more_than_its_orders_can_come_to(shop: ServiceUnderTest) -> None:
    orders = MadeUpOrders(shop.org_id)
    customer, member = some(2)
    # What one member can order of what costs nothing, in a day, if they go about it.
    already = Decimal(10) ** 20 - 1
    most = a_line("99999999999999.9999", "0")
    orders.placed(customer, member, member, lines=[most])
    await hear(shop.database, *orders.told)
    async with shop.database.writing(shop.org_id) as connection:
        await connection.execute(tables.sales.update().values(pieces=already))
    orders.placed(customer, member, member, lines=[most])
    await hear(shop.database, orders.told[-1])
    [(count, pieces, _)] = (await kept(shop)).values()
    assert (count, pieces) == (2, already + most.quantity)


async def test_a_cell_that_was_damaged_never_shows_less_than_nothing(
    shop: ServiceUnderTest,
) -> None:
    orders = MadeUpOrders(shop.org_id)
    order_id = orders.placed(uuid4(), uuid4(), None)
    await hear(shop.database, *orders.told)
    async with shop.database.writing(shop.org_id) as connection:
        await connection.execute(tables.sales.delete())
    orders.confirm(order_id)
    with capture_logs() as logged:
        await hear(shop.database, orders.told[-1])
    assert await kept(shop) == orders.tally()
    assert [one["event"] for one in logged] == ["cube.cell_damaged"]


async def test_another_organization_s_orders_are_another_cube(shop: ServiceUnderTest) -> None:
    customer, member = some(2)
    mine, theirs = MadeUpOrders(shop.org_id), MadeUpOrders(uuid4())
    order_id = mine.placed(customer, member, member)
    theirs.placed(customer, member, member, order_id=order_id)
    await hear(shop.database, *mine.told, *theirs.told)
    assert await kept(shop) == mine.tally()


def test_a_cell_s_figures_are_the_table_s() -> None:
    assert {*FIGURES, *cube.KEY, "org_id"} == {one.name for one in tables.sales.columns}
