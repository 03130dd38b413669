"""An act over more orders than a transaction may take: in pieces, and nobody sees more meanwhile (ADR 17)."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from bailiwick_contracts.customers import Assignment
from bailiwick_kit.database.engine import Database
from bailiwick_kit.web.read_your_writes import versions_in
from bailiwick_orders.store import fan_out, tables
from bailiwick_orders.store.fan_out import FanOut
from bailiwick_orders.store.fan_out_sampling import FanOutSampling
from bailiwick_testkit.checks.metric_values import figure
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.orders import OrdersService

ORDERS = """
    INSERT INTO orders (org_id, order_id, number, customer_id, customer_name, author_id, source, state,
        listed_at, currency, lines, net, imported, version)
    SELECT $1, gen_random_uuid(), $5 || row_number() OVER (), customer_id, 'C', $2, 'import', 'placed',
        now() - n * interval '1 hour', 'EUR', '[]', 0, true, 1
    FROM unnest($3::uuid[]) AS customer_id, generate_series(1, $4) AS n
"""
VISIBLE = """
    INSERT INTO visibility
    SELECT o.org_id, a.member_id, o.listed_at, o.order_id, a.relation, a.valid_from, a.valid_to
    FROM orders o JOIN assignments a USING (org_id, customer_id) WHERE o.customer_id = ANY ($1::uuid[])
"""
SIGHT = """
    SELECT member_id, count(*) AS orders FROM visibility
    WHERE relation = 'main' AND valid_from <= $1 AND valid_to > $1 GROUP BY 1
"""


async def held_by(
    market: OrdersService, person: Person, customers: int, orders: int
) -> list[Assignment]:
    """Make customers of a representative's, with so many orders each and the visibility of those."""
    held = [
        market.customers.assign(market.customers.customer(f"C{number}"), person.member_id)
        for number in range(customers)
    ]
    await market.tell()
    author, at_once = uuid4(), max(1, 40_000 // orders)
    for first in range(0, customers, at_once):  # a statement has its time here, too
        ids = [one.customer_id for one in held[first : first + at_once]]
        async with market.shop.database.writing(market.shop.org_id) as connection:
            sql = connection.exec_driver_sql
            await sql(ORDERS, (market.shop.org_id, author, ids, orders, f"N{first}-"))
            await sql(VISIBLE, (ids,))
    return held


def hand_over(
    market: OrdersService, held: list[Assignment], to: Person, at: datetime
) -> list[Assignment]:
    """Give all of them to somebody, in one act."""
    new = [
        one.model_copy(
            update={"assignment_id": uuid4(), "member_id": to.member_id, "valid_from": at}
        )
        for one in held
    ]
    market.customers.change(*(market.customers.ended(one, at) for one in held), *new)
    return new


async def sight(market: OrdersService, at: datetime) -> dict[UUID, int]:
    """Return how many orders each representative sees at an instant."""
    async with market.shop.database.reading(market.shop.org_id) as connection:
        found = await connection.exec_driver_sql(SIGHT, (at,))
        return {row.member_id: row.orders for row in found}


async def test_nobody_sees_more_while_a_large_act_is_written_and_all_is_seen_after(
    market: OrdersService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "AT_ONCE", 10)
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    held, beside = await held_by(market, ana, 3, 7), FanOut(market.shop.database, piece=3)
    new = hand_over(market, held, bruno, datetime.now(UTC))
    await market.tell()
    after = datetime.now(UTC) + timedelta(seconds=1)
    look_up = versions_in(
        market.shop.database,
        tables.assignments.c.assignment_id,
        late=tables.fan_outs.c.assignment_id,
    )

    steps = [await sight(market, after)]
    while await beside.round():
        steps.append(await sight(market, after))
        if (
            steps[-1].get(bruno.member_id, 0) < 21
        ):  # who waits for the act is not told that it is there
            versions = [await look_up(market.shop.org_id, one.assignment_id) for one in new]
            assert None in versions

    assert steps[0] == {ana.member_id: 21}
    assert steps[-1] == {bruno.member_id: 21}
    for one in steps:  # until Ana has lost all, Bruno has none
        assert sum(one.values()) <= 21
        assert len(one) <= 1
    assert len(steps) > 10
    assert await look_up(market.shop.org_id, new[0].assignment_id) == 1


async def read(market: OrdersService, who: Person, ids: list[UUID], path: str) -> list[object]:
    """Return how many orders of the customers somebody finds on each surface, and one order's status."""
    found: list[object] = []
    for query in ("", "?state=placed", "?currency=EUR&source=import", "?customer_id=former"):
        listed = (await market.shop.api.get(who, f"/v1/orders{query}")).json()["items"]
        counted = (await market.shop.api.get(who, f"/v1/orders/count{query}")).json()["count"]
        assert counted == len(listed)
        found.append(sum(one["customer"].get("customer_id") in map(str, ids) for one in listed))
    api = market.shop.api
    counts = [await api.get(who, f"/v1/orders/count?customer_id={one}") for one in ids]
    answers = [await api.get(who, f"{path}{way}") for way in ("", "/versions")]
    answers.append(await market.act(who, path, "cancel", etag='"v99"'))
    return [*found, *(one.json()["count"] for one in counts), *(one.status_code for one in answers)]


async def test_who_has_lost_a_customer_reads_none_of_its_orders_from_the_first_commit_on(
    market: OrdersService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "AT_ONCE", 10)
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    held, beside = await held_by(market, ana, 2, 6), FanOut(market.shop.database, piece=4)
    kept = await market.customer("Kept", ana)
    ids = [one.customer_id for one in held]
    async with market.shop.database.reading(market.shop.org_id) as connection:
        one = await connection.exec_driver_sql(
            "SELECT order_id FROM orders WHERE customer_id = $1 ORDER BY listed_at DESC", (ids[-1],)
        )
        path = f"/v1/orders/{one.scalars().first()}"
    own = await market.order(ana, kept)
    assert await read(market, ana, ids, path) == [12, 12, 12, 0, 6, 6, 200, 200, 412]
    new = hand_over(market, held, bruno, datetime.now(UTC))
    await market.tell()
    while True:
        assert await read(market, ana, ids, path) == [0, 0, 0, 0, 0, 0, 404, 404, 404]
        assert (await market.shop.api.get(ana, own["path"])).status_code == 200
        if not await beside.round():
            break
    assert await read(market, bruno, ids, path) == [12, 12, 12, 0, 6, 6, 200, 200, 412]
    hand_over(market, new, ana, datetime.now(UTC))  # back again, beside what was hers before
    await market.tell()
    assert await read(market, bruno, ids, path) == [0, 0, 0, 0, 0, 0, 404, 404, 404]
    while await beside.round():
        pass
    assert await read(market, ana, ids, path) == [12, 12, 12, 0, 6, 6, 200, 200, 412]


async def test_what_happens_between_two_pieces_counts(
    market: OrdersService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "AT_ONCE", 10)
    mia = await market.shop.member("brand_manager")
    ana, bruno, clara = [await market.shop.member("sales_representative") for _ in range(3)]
    held, beside = await held_by(market, ana, 2, 6), FanOut(market.shop.database, piece=4)
    at = datetime.now(UTC)
    new = hand_over(market, held, bruno, at)
    await market.tell()
    for _ in range(5):
        await beside.round()
    hand_over(market, new, clara, at + timedelta(microseconds=1))
    made = await market.order(mia, held[0].customer_id)
    await market.tell()
    while await beside.round():
        pass

    assert await sight(market, at + timedelta(seconds=1)) == {clara.member_id: 13}
    assert (await market.shop.api.get(clara, made["path"])).status_code == 200
    assert (await market.shop.api.get(bruno, made["path"])).status_code == 404


async def test_an_act_is_written_though_a_customer_of_it_and_a_thousand_of_another_organization_are_locked(
    market: OrdersService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "AT_ONCE", 2)
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    held, database = await held_by(market, ana, 4, 5), market.shop.database
    hand_over(market, held, bruno, datetime.now(UTC))
    await market.tell()
    own, other = min(one.customer_id for one in held), UUID(int=1)
    theirs = [UUID(int=5 + number) for number in range(1_000)]
    row = {"code": "x", "name": "x", "status": "approved", "created_by": other}
    keys = [{"org_id": other, "customer_id": one} for one in theirs]
    async with database.writing(other) as connection:
        rows = [{**key, **row, "version": 1, "seq": 1} for key in keys]
        await connection.execute(tables.customers.insert(), rows)
        late = [{**key, "assignment_id": key["customer_id"], "begins": False} for key in keys]
        await connection.execute(tables.fan_outs.insert(), late)
    after = datetime.now(UTC) + timedelta(seconds=1)

    async def comes(expected: dict[UUID, int]) -> None:
        async with asyncio.timeout(12):  # less than a transaction may idle
            while await sight(market, after) != expected:  # noqa: ASYNC110 - a database tells no events
                await asyncio.sleep(0.1)

    url = database.engine.url.render_as_string(hide_password=False)
    async with (
        Database(url, pool=2) as locking,
        locking.writing(market.shop.org_id) as one,
        locking.writing(other) as two,
    ):
        await fan_out.lock_customers(one, market.shop.org_id, [own])
        await fan_out.lock_customers(two, other, theirs)
        # Of five orders, two a piece: some twenty rounds, none of which may wait.
        beside = asyncio.create_task(FanOut(database, piece=2).run())
        try:
            await comes({ana.member_id: 5, bruno.member_id: 15})
        finally:
            beside.cancel()
            await asyncio.wait([beside])


async def test_what_is_left_to_write_is_measured_and_since_when(
    market: OrdersService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "AT_ONCE", 10)
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    held, beside = await held_by(market, ana, 3, 7), FanOut(market.shop.database)
    looks = FanOutSampling(market.shop.database)._rounds()

    async def measured() -> tuple[float, float]:
        await anext(looks)
        found = [figure(f"bailiwick_fan_outs_{what}") for what in ("waiting", "oldest_seconds")]
        assert None not in found
        return found[0] or 0.0, found[1] or 0.0

    assert await measured() == (0, 0)
    hand_over(market, held, bruno, datetime.now(UTC))
    await market.tell()
    async with market.shop.database.writing(market.shop.org_id) as connection:
        await connection.exec_driver_sql(
            "UPDATE fan_outs SET recorded_at = now() - interval '1 hour' WHERE begins"
        )
    waiting, oldest = await measured()
    assert waiting == 6
    assert 3_600 <= oldest < 3_700
    while await beside.round():
        pass
    assert await measured() == (0, 0)
    await looks.aclose()


async def _moves(market: OrdersService, customers: int, orders: int) -> float:
    """Hand customers over with all their orders; return the seconds that the longest transaction took."""
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    held = await held_by(market, ana, customers, orders)
    hand_over(market, held, bruno, datetime.now(UTC))
    longest, beside = 0.0, FanOut(market.shop.database)

    async def timed(step: object) -> int:
        nonlocal longest
        began = time.monotonic()
        found = int(await step or 0)  # type: ignore[misc]
        longest = max(longest, time.monotonic() - began)
        return found

    await timed(market.tell())
    while await timed(beside.round()):
        pass
    seen = await sight(market, datetime.now(UTC) + timedelta(seconds=1))
    assert seen == {bruno.member_id: customers * orders}
    return longest


async def test_an_act_over_many_orders_is_written_within_what_a_transaction_may_take(
    market: OrdersService,
) -> None:
    assert await _moves(market, 20, 400) < 10


@pytest.mark.slow
@pytest.mark.parametrize(("customers", "orders"), [(500, 1_100), (1, 70_000)])
async def test_the_largest_acts_are_written_within_what_a_transaction_may_take(
    market: OrdersService, customers: int, orders: int
) -> None:
    assert await _moves(market, customers, orders) < 10
