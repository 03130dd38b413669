"""What orders tells the bus: the whole order, by its schema, once an act; and again when asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator

import bailiwick_contracts
from bailiwick_kit.clock import SystemClock
from bailiwick_kit.database.engine import Database
from bailiwick_kit.database.migrations import check
from bailiwick_orders.main import service
from bailiwick_orders.store import tables
from bailiwick_orders.store.snapshots import Snapshots
from bailiwick_testkit.services.orders import OrdersService, a_line

SCHEMAS = Path(bailiwick_contracts.__file__).parents[2] / "schemas"


async def told(market: OrdersService) -> list[dict[str, Any]]:
    """Return the events in the outbox in order, each of which its schema must allow."""
    table = tables.outbox
    async with market.shop.database.reading(market.shop.org_id) as connection:
        rows = (await connection.execute(sa.select(table).order_by(table.c.position))).mappings()
        found = []
        for row in rows:
            schema = json.loads((SCHEMAS / f"{row['type']}.json").read_text("utf-8"))
            body = json.loads(row["body"])
            Draft202012Validator(schema).validate(body)
            assert str(row["subject"]) == body["order_id"]
            said = row["type"].removeprefix("orders.order.").removesuffix(".v1")
            sent = {"to": row["recipient"], "id": row["event_id"], "bulk": row["bulk"]}
            found.append({"said": said, **sent, **body})
    return found


async def test_each_act_is_told_once_with_the_whole_state(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    ana, bruno = [await market.shop.member("sales_representative") for _ in range(2)]
    customer = await market.customer("Ñandú", main=ana)
    market.customers.assign(customer, bruno.member_id, "additional")
    await market.tell()
    order = await market.order(ana, customer, note="ring")
    path = order["path"]
    assert (await market.act(ana, path, "place")).status_code == 200
    lines = {"lines": [a_line("1.5", "0.3333", discount="0.05")]}
    assert (await market.shop.api.patch(mia, path, lines, "*")).status_code == 200
    assert (await market.act(mia, path, "confirm")).status_code == 200
    reasoned = {"note": None, "reason": "They rang"}
    assert (await market.shop.api.patch(mia, path, reasoned, "*")).status_code == 200
    assert (await market.act(mia, path, "fulfil")).status_code == 200

    events = await told(market)

    said = ["drafted", "placed", "edited", "confirmed", "edited", "fulfilled"]
    assert [event["said"] for event in events] == said
    assert not any(event["bulk"] for event in events)
    assert [event["version"] for event in events] == [1, 2, 3, 4, 5, 6]
    assert {event["main_id"] for event in events} == {str(ana.member_id)}
    assert {tuple(event["additional_ids"]) for event in events} == {(str(bruno.member_id),)}
    assert {event["assignment_seq"] for event in events} == {3}
    assert {event["customer_name"] for event in events} == {"Ñandú"}
    assert events[0]["credited_to"] is None
    assert events[1]["credited_to"] == events[1]["placed_by"] == str(ana.member_id)
    assert events[2]["net"] == events[2]["lines"][0]["net"] == "0.4750"
    assert (events[2]["edited_by"], events[2]["reason"]) == (str(mia.member_id), None)
    assert (events[4]["note"], events[4]["reason"]) == (None, "They rang")


async def test_an_order_placed_at_once_comes_in_once(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    order = await market.order(mia, await market.customer(), place=True)
    assert (await market.act(mia, order["path"], "cancel")).status_code == 200
    events = await told(market)
    assert [(event["said"], event["version"]) for event in events] == [
        ("placed", 1),
        ("cancelled", 2),
    ]
    assert events[0]["imported"] is False


async def test_what_is_refused_is_not_told(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    customer = await market.customer(status="suspended")
    assert (await market.create(mia, customer, place=True)).status_code == 409
    assert await told(market) == []


async def test_snapshots_go_to_one_queue_with_the_same_versions_and_new_ids(
    market: OrdersService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bailiwick_orders.store.snapshots.BATCH", 3)
    mia = await market.shop.member("brand_manager")
    customer = await market.customer(main=mia)
    for _ in range(3):
        await market.order(mia, customer, place=True)
    before = await told(market)

    count = await Snapshots(market.shop.database, SystemClock()).republish(
        market.shop.org_id, "reports.orders"
    )

    snapshots = (await told(market))[len(before) :]
    assert count == len(snapshots) == 3
    assert {one["said"] for one in snapshots} == {"snapshot"}
    assert {(one["to"], one["bulk"]) for one in snapshots} == {("reports.orders", True)}
    assert not {one["id"] for one in snapshots} & {one["id"] for one in before}
    unlike = {"said", "to", "id", "bulk"}
    assert [{k: v for k, v in one.items() if k not in unlike} for one in snapshots] == [
        {k: v for k, v in one.items() if k not in unlike} for one in before
    ]


async def test_every_act_leaves_a_row_in_the_audit_trail(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    order = await market.order(mia, await market.customer())
    for verb in ("place", "confirm", "cancel"):
        assert (await market.act(mia, order["path"], verb)).status_code == 200
    table = tables.audit
    async with (
        Database(market.shop.urls.owner) as database,
        database.reading(market.shop.org_id) as connection,
    ):
        rows = (await connection.execute(sa.select(table).order_by(table.c.audit_id))).mappings()
        found = [(row["action"], row["member_id"], row["details"]["version"]) for row in rows]
    verbs = ("drafted", "placed", "confirmed", "cancelled")
    assert found == [(f"order.{verb}", mia.member_id, n) for n, verb in enumerate(verbs, start=1)]


def test_tables_in_code_and_in_the_database_are_the_same(market: OrdersService) -> None:
    check(service.migrations, market.shop.urls.owner)
