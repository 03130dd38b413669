"""Importing orders: once in effect, with their history, told to the bus as imported."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from bailiwick_access.authorizer import Gate
from bailiwick_kit.errors import Forbidden
from bailiwick_kit.imports.jsonl import LineError
from bailiwick_kit.policy.client import Policy
from bailiwick_orders.importing import BATCH, Import, opened
from bailiwick_orders.settings import Settings
from bailiwick_orders.store import tables
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.servers.real import Opa
from bailiwick_testkit.services import wrong_records
from bailiwick_testkit.services.application import served, settings_for
from bailiwick_testkit.services.orders import PATH, OrdersService, a_line
from bailiwick_testkit.waiting import until

Open = Callable[..., AbstractAsyncContextManager[Import]]


@pytest.fixture
async def opening(market: OrdersService, opa: Opa) -> AsyncIterator[Open]:
    """Open an import by somebody, as the subcommand does: `async with opening(mia) as work`."""
    feeds = (market.shop.identity.application(), market.customers.application())
    async with served(*feeds) as (identity_url, customers_url):
        settings = settings_for(
            Settings,
            market.shop.urls,
            policy_url=opa.url,
            identity_url=identity_url,
            customers_url=customers_url,
        )

        @asynccontextmanager
        async def opening(who: Person, *, update: bool = False) -> AsyncIterator[Import]:
            by = who.member_id
            async with opened(settings, market.shop.org_id, by, "old-shop", update=update) as work:
                yield work

        yield opening


def record(ref: str, customer_id: object, **more: Any) -> dict[str, Any]:
    body = {"external_ref": ref, "customer_id": str(customer_id), "lines": [a_line()]}
    return {**body, "order_date": "2024-03-31", **more}


async def imported(work: Import, *lines: dict[str, Any]) -> list[dict[str, Any]]:
    return [became async for became in work.run(json.dumps(line).encode() for line in lines)]


async def told(market: OrdersService) -> list[dict[str, Any]]:
    table = tables.outbox
    async with market.shop.database.reading(market.shop.org_id) as connection:
        rows = await connection.execute(sa.select(table.c.type, table.c.bulk, table.c.body))
        return [{"type": row.type, "bulk": row.bulk, **json.loads(row.body)} for row in rows]


async def listed(market: OrdersService, who: Person) -> dict[str, dict[str, Any]]:
    found = (await market.shop.api.get(who, f"{PATH}?limit=200")).json()["items"]
    return {one["order_id"]: one for one in found}


async def test_imported_orders_are_seen_and_a_second_run_changes_nothing(
    market: OrdersService, opening: Open
) -> None:
    mia = market.shop.identity.person(market.shop.org_id, "brand_manager")
    ana = market.shop.identity.person(market.shop.org_id, "sales_representative")
    bruno = market.shop.identity.person(market.shop.org_id, "sales_representative")
    customer = market.customers.customer()  # nothing is told: both replicas have to be pulled
    market.customers.assign(customer, ana.member_id)
    lines = [
        record("1", customer, author_id=str(bruno.member_id), state="fulfilled"),
        record("2", customer, author_id=str(bruno.member_id), state="draft", order_date=None),
        record("3", customer, placed_at="2024-01-01T00:30:00Z", order_date=None),
    ]
    async with opening(mia) as work:
        first = await imported(work, *lines)
        events = await told(market)
        second = await imported(work, *lines)

    assert [one["outcome"] for one in first] == ["created"] * 3
    assert second == [{**one, "outcome": "unchanged"} for one in first]
    assert await told(market) == events
    assert [event["type"].split(".")[2] for event in events] == ["fulfilled", "drafted", "placed"]
    assert all(event["imported"] and event["source"] == "import" for event in events)
    assert all(event["bulk"] for event in events)
    assert events[0]["main_id"] == str(ana.member_id)

    of_ana = await listed(market, ana)
    assert list(of_ana) == [first[n]["order_id"] for n in (1, 0, 2)]
    one = of_ana[first[0]["order_id"]]
    assert (one["order_date"], one["listed_at"]) == ("2024-03-31", "2024-03-30T23:00:00Z")
    assert one["credited_to"] == one["placed_by"] == one["author_id"] == str(bruno.member_id)
    assert of_ana[first[2]["order_id"]]["order_date"] == "2024-01-01"
    of_bruno = await listed(market, bruno)  # wrote them, and never had the customer
    assert list(of_bruno) == [first[0]["order_id"]]
    assert of_bruno[first[0]["order_id"]]["customer"] == {"name": "Librería Sol"}


async def test_without_an_author_credit_is_the_mains_of_that_instant_or_as_said(
    market: OrdersService, opening: Open
) -> None:
    mia, tom = [await market.shop.member(role) for role in ("brand_manager", "sales_assistant")]
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    left = await market.shop.member("sales_representative", status="inactive")
    customer = market.customers.customer()
    held = market.customers.assign(customer, ana.member_id)
    market.customers.hand_over(held, bruno.member_id, datetime(2025, 1, 1, tzinfo=UTC))
    cases = [
        (record("1", customer), str(ana.member_id)),
        (record("2", customer, order_date="2025-02-01"), str(bruno.member_id)),
        (record("3", customer, author_id=str(tom.member_id)), str(ana.member_id)),
        (record("4", customer, author_id=str(left.member_id)), str(left.member_id)),
        (record("5", customer, credited_to=None), None),
        (record("6", customer, credited_to=str(bruno.member_id)), str(bruno.member_id)),
        (record("7", customer, order_date="2019-01-01"), None),
        (record("8", customer, state="cancelled", order_date=None), None),
    ]
    async with opening(mia) as work:
        became = await imported(work, *(line for line, _ in cases))
    found = await listed(market, mia)
    credited = [found[one["order_id"]]["credited_to"] for one in became]
    assert credited == [credit for _, credit in cases]
    assert found[became[0]["order_id"]]["author_id"] == str(mia.member_id)


async def test_a_main_who_may_hold_no_portfolio_is_not_credited_and_one_who_left_is(
    market: OrdersService, opening: Open
) -> None:
    mia = await market.shop.member("brand_manager")
    lost = await market.shop.member(permissions=["customers"])
    left = await market.shop.member("sales_representative", status="inactive")
    customers = [market.customers.customer() for _ in range(2)]
    for customer, main in zip(customers, (lost, left), strict=True):
        market.customers.assign(customer, main.member_id)
    async with opening(mia) as work:
        became = await imported(
            work, *(record(str(number), customer) for number, customer in enumerate(customers))
        )
    found = await listed(market, mia)
    credited = [found[one["order_id"]]["credited_to"] for one in became]
    assert credited == [None, str(left.member_id)]


async def test_more_orders_than_a_batch_are_imported(market: OrdersService, opening: Open) -> None:
    mia = await market.shop.member("brand_manager")
    customer = market.customers.customer()
    count = BATCH + 50
    async with opening(mia) as work:
        became = await imported(work, *(record(str(n), customer) for n in range(count)))
    assert sum(one["outcome"] == "created" for one in became) == count
    counted = await market.shop.api.get(mia, f"{PATH}/count")
    assert counted.json() == {"count": count}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        *wrong_records.ORDERS,
        ({"customer_id": str(uuid4())}, "customer_id: Import this customer first"),
        ({"author_id": str(uuid4())}, "author_id: Name a member"),
        ({"placed_by": str(uuid4())}, "placed_by: Name a member"),
        ({"credited_to": str(uuid4())}, "credited_to: Name a member"),
        ({"external_ref": "1"}, "external_ref: The same as on line 1"),
    ],
)
async def test_a_wrong_line_is_named_and_its_batch_is_not_imported(
    market: OrdersService, opening: Open, changes: dict[str, Any], said: str
) -> None:
    mia = await market.shop.member("brand_manager")
    customer = market.customers.customer()
    async with opening(mia) as work:
        with pytest.raises(LineError, match=re.escape(f"line 2: {said}")):
            await imported(work, record("1", customer), {**record("2", customer), **changes})
    assert await told(market) == []


async def test_a_changed_row_is_told_and_only_taken_over_where_that_is_asked_for(
    market: OrdersService, opening: Open
) -> None:
    mia = await market.shop.member("brand_manager")
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    customer = await market.customer(main=ana)
    wrong = record(
        "1", customer, lines=[a_line("1", "99")], note="by fax", author_id=str(ana.member_id)
    )
    right = {
        **record("1", customer, lines=[a_line("2", "9.90")], author_id=str(ana.member_id)),
        "order_date": "2023-12-31",
    }
    other = record("2", customer)
    async with opening(mia) as work:
        first = await imported(work, wrong, other)
        told_first = await told(market)
        without = await imported(work, right, other)
        assert await told(market) == told_first
    path = f"{PATH}/{first[0]['order_id']}"
    async with opening(mia, update=True) as work:
        taken = await imported(work, right, other)
        events = await told(market)
        again = await imported(work, right, other)
        assert await told(market) == events

    assert [[one["outcome"] for one in each] for each in (without, taken, again)] == [
        ["different", "unchanged"],
        ["updated", "unchanged"],
        ["unchanged", "unchanged"],
    ]
    assert {one["order_id"] for each in (without, taken, again) for one in each} == {
        one["order_id"] for one in first
    }
    order = (await market.shop.api.get(mia, path)).json()
    assert (order["net"]["amount"], order["order_date"], order["version"]) == (
        "19.8000",
        "2023-12-31",
        2,
    )
    # What the row says nothing of stays as it said before.
    assert (order["state"], order["note"]) == ("placed", "by fax")
    [earlier] = [
        one
        for one in (await market.shop.api.get(mia, f"{path}/versions")).json()["items"]
        if one["version"] == 1
    ]
    assert earlier["net"]["amount"] == "99.0000"
    edited = events[-1]
    assert (edited["type"], edited["imported"], edited["bulk"]) == (
        "orders.order.edited.v1",
        True,
        True,
    )
    # By its new date it is the last of the list, for those who see it by their portfolio, too.
    for who in (mia, ana):
        assert list(await listed(market, who)) == [first[1]["order_id"], first[0]["order_id"]]
    assert await listed(market, bruno) == {}


@pytest.mark.parametrize("field", ["author_id", "customer_id"])
async def test_a_changed_row_moves_no_order_to_another_customer_or_author(
    market: OrdersService, opening: Open, field: str
) -> None:
    mia = await market.shop.member("brand_manager")
    customer = await market.customer()
    line = record("1", customer, author_id=str(mia.member_id))
    bruno = await market.shop.member("sales_representative")
    other = {"author_id": bruno.member_id, "customer_id": await market.customer()}[field]
    async with opening(mia, update=True) as work:
        await imported(work, line)
        with pytest.raises(LineError, match=f"line 1: {field}: An order stays its customer's"):
            await imported(work, {**line, field: str(other)})


async def test_no_order_is_credited_to_a_storefront(market: OrdersService, opening: Open) -> None:
    mia = await market.shop.member("brand_manager")
    ana = await market.shop.member("sales_representative")
    storefront = await market.shop.member(kind="service")
    customer = await market.customer(main=ana)
    by_portal = record("1", customer, author_id=str(storefront.member_id))
    async with opening(mia) as work:
        credited = record("2", customer, credited_to=str(storefront.member_id))
        with pytest.raises(LineError, match="line 2: credited_to: Credit a person"):
            await imported(work, by_portal, credited)
        [became] = await imported(work, by_portal)
    [order] = (await listed(market, mia)).values()
    assert (order["order_id"], order["credited_to"]) == (became["order_id"], str(ana.member_id))


async def test_what_history_has_is_kept_to_four_decimals_and_in_its_currency(
    market: OrdersService, opening: Open
) -> None:
    mia = await market.shop.member("brand_manager")
    customer = await market.customer()
    fine = {
        **a_line("3", "1.23456"),
        "unit_price": {"amount": "1.23456", "currency": "HRK"},
        "discount": "0.33333",
    }
    async with opening(mia) as work:
        [became] = await imported(
            work, record("1", customer, currency="HRK", order_date="2019-05-01", lines=[fine])
        )
    path = f"{PATH}/{became['order_id']}"
    order = (await market.shop.api.get(mia, path)).json()
    [line] = order["lines"]
    assert (order["currency"], line["unit_price"]["currency"]) == ("HRK", "HRK")
    assert (line["unit_price"]["amount"], line["discount"]) == ("1.2346", "0.3333")
    assert line["net"]["amount"] == "2.4693"  # 3 × 1.2346 × 0.6667; from all decimals 2.46915
    counted = await market.shop.api.get(mia, f"{PATH}/count?currency=HRK")
    assert counted.json() == {"count": 1}
    body = {"customer_id": str(customer), "source": "visit", "currency": "HRK", "lines": [fine]}
    refused = await market.shop.api.post(mia, PATH, body)
    assert "currency" in {one["where"] for one in refused.json()["errors"]}


async def test_an_import_waits_for_policy_that_does_not_answer_yet_and_says_so(
    market: OrdersService, opening: Open, opa: Opa, capsys: pytest.CaptureFixture[str]
) -> None:
    mia = await market.shop.member("brand_manager")
    customer = await market.customer()
    said = ""

    async def is_said() -> bool:
        nonlocal said
        said += capsys.readouterr().err
        return "waiting: Permissions cannot be checked right now" in said

    async with (
        Policy("http://127.0.0.1:9", deadline=0.2) as nowhere,
        Policy(opa.url) as policy,
        opening(mia) as work,
    ):
        switch: Any = Switch(nowhere)
        waiting = replace(work, gate=Gate(switch))
        task = asyncio.create_task(imported(waiting, record("1", customer)))
        await until(is_said)
        switch.policy = policy
        [became] = await task
    assert became["outcome"] == "created"


class Switch:
    """Asks now this engine, now that one."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def __getattr__(self, name: str) -> Any:
        return getattr(self.policy, name)


async def test_who_sees_a_portfolio_only_cannot_import(
    market: OrdersService, opening: Open
) -> None:
    ana = await market.shop.member(permissions=["seller"])
    customer = await market.customer(main=ana)
    async with opening(ana) as work:
        with pytest.raises(Forbidden):
            await imported(work, record("1", customer))


async def test_an_order_that_its_source_made_long_after_its_date_is_listed_on_its_date(
    market: OrdersService, opening: Open
) -> None:
    mia = await market.shop.member("brand_manager")
    customer = await market.customer()
    async with opening(mia) as work:
        for ref, listed_at in (
            ("moved here", "2024-06-01T12:00:00Z"),
            ("typed in the day after", "2024-04-01T23:00:00Z"),
            ("drafted before", "2024-02-01T00:00:00Z"),
        ):
            await imported(work, record(ref, customer, listed_at=listed_at))
    orders = (await market.shop.api.get(mia, PATH)).json()["items"]
    # Europe/Madrid: the 31st of March began at 23:00 UTC.
    assert [one["listed_at"] for one in orders] == [
        "2024-04-01T23:00:00Z",
        "2024-03-30T23:00:00Z",
        "2024-02-01T00:00:00Z",
    ]
    up_to = await market.shop.api.get(mia, f"{PATH}?order_date_to=2024-03-31")
    assert up_to.json()["items"] == orders


async def test_an_order_is_found_by_the_number_that_it_had_before_and_shows_it(
    market: OrdersService, opening: Open
) -> None:
    mia = await market.shop.member("brand_manager")
    ana = await market.shop.member("sales_representative")
    mine, other = await market.customer(main=ana), await market.customer()
    async with opening(mia) as work:
        await imported(work, record("SO-2019/0042", mine), record("SO-2019/0043", other))
        await imported(work, record("so%20x", other), record("Inv-0012", mine))
    made = await market.order(mia, mine, place=True)
    assert made["external_ref"] is None
    for text, of_mia, of_ana in (
        ("SO-2019/0042", {"SO-2019/0042"}, {"SO-2019/0042"}),
        ("so-2019", {"SO-2019/0042", "SO-2019/0043"}, {"SO-2019/0042"}),
        ("SO%20X", {"so%20x"}, set()),
        ("inv-0012", {"Inv-0012"}, {"Inv-0012"}),
        ("INV-001", {"Inv-0012"}, {"Inv-0012"}),
        ("2019", set(), set()),
        (made["number"], {None}, {None}),
    ):
        for who, expected in ((mia, of_mia), (ana, of_ana)):
            answer = await market.shop.api.get(who, PATH, params={"text": text})
            items = answer.json()["items"]
            assert {one["external_ref"] for one in items} == expected, text
            for one in items:
                read = await market.shop.api.get(who, f"{PATH}/{one['order_id']}")
                assert read.json()["external_ref"] == one["external_ref"]


@pytest.mark.parametrize(
    ("said", "verbs", "state"),
    [
        ("placed", ["confirm", "fulfil"], "fulfilled"),
        ("confirmed", ["cancel"], "cancelled"),
        ("draft", ["place"], "placed"),
    ],
)
async def test_what_was_done_here_since_stands_whatever_a_row_says_later(
    market: OrdersService, opening: Open, said: str, verbs: list[str], state: str
) -> None:
    mia = await market.shop.member("brand_manager")
    ana = await market.shop.member("sales_representative")
    customer = await market.customer(main=ana)
    row = record("1", customer, state=said, author_id=str(ana.member_id))
    if said == "draft":
        del row["order_date"]
    async with opening(mia) as work:
        [one] = await imported(work, row)
    path = f"{PATH}/{one['order_id']}"
    for verb in verbs:
        done = await market.act(ana if verb == "place" else mia, path, verb)
        assert done.status_code == 200, done.text
    before = (await market.shop.api.get(mia, path)).json()
    placing = {
        "state": "placed",
        "order_date": "2024-01-31",
        "placed_by": str(mia.member_id),
        "credited_to": str(mia.member_id),
    }
    for more in ({"note": "corrected"}, placing):
        async with opening(mia, update=True) as work:
            [outcome] = await imported(work, {**row, **more})
        assert outcome["outcome"] == "different"
        assert (await market.shop.api.get(mia, path)).json() == before
