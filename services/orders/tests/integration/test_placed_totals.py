"""The tally: what reports count, summed from the orders themselves."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from bailiwick_kit.settings import PREFIX
from bailiwick_orders.domain.order import Order
from bailiwick_orders.main import program
from bailiwick_orders.settings import Settings
from bailiwick_orders.store import placed_totals, tables
from bailiwick_orders.store.rows import to_order
from bailiwick_testkit.services.application import settings_for
from bailiwick_testkit.services.orders import OrdersService, a_line

KEY = ("customer_id", "author_id", "credited_to", "source", "order_date", "currency", "state")
Sums = dict[tuple[str | None, ...], tuple[int, Decimal, Decimal]]


async def counted(market: OrdersService, org_id: UUID | None = None) -> list[Any]:
    rows = placed_totals.Tally(market.shop.database).rows(org_id or market.shop.org_id)
    return [row async for row in rows]


async def written(market: OrdersService) -> list[Order]:
    async with market.shop.database.reading(market.shop.org_id) as connection:
        return [
            to_order(row) for row in (await connection.execute(sa.select(tables.orders))).mappings()
        ]


def key_of(order: Order) -> tuple[str | None, ...]:
    values = (getattr(order, name) for name in KEY)
    return tuple(None if value is None else str(value) for value in values)


def summed(orders: list[Order]) -> Sums:
    """Sum orders as the domain does."""
    sums: Sums = defaultdict(lambda: (0, Decimal(0), Decimal(0)))
    for order in orders:
        if order.order_date is not None:
            count, pieces, net = sums[key_of(order)]
            quantity = sum((line.quantity for line in order.lines), Decimal(0))
            sums[key_of(order)] = (count + 1, pieces + quantity, net + order.net)
    return sums


async def trade(market: OrdersService, draw: random.Random) -> None:
    """Let orders be written, placed, edited and cancelled, by several, in two currencies."""
    mia, buyer = await market.shop.member("brand_manager"), await market.shop.member(kind="service")
    ana = await market.shop.member(permissions=["seller"])
    customers = [await market.customer(main=ana) for _ in range(3)] + [await market.customer()]
    for _ in range(40):
        customer = draw.choice(customers)
        who = draw.choice([mia, buyer] if customer == customers[-1] else [mia, buyer, ana])
        currency = draw.choice(["EUR", "GBP"])
        lines = [
            a_line(
                f"{draw.randrange(1, 10**6)}.{draw.randrange(10**4):04}",
                f"{draw.randrange(1000)}.{draw.randrange(10**4):04}",
                currency,
                discount=draw.choice(["0", "0.05", "0.3333"]),
            )
            for _ in range(draw.randrange(1, 4))
        ]
        source = "portal" if who is buyer else draw.choice(["visit", "phone"])
        body = {"source": source, "currency": currency, "lines": lines}
        made = await market.order(who, customer, **body, place=draw.random() < 0.8)
        for verb in draw.choice([(), ("cancel",), ("confirm",), ("confirm", "fulfil")]):
            await market.act(mia, made["path"], verb)


async def test_it_is_what_the_domain_comes_to_and_sorted(
    market: OrdersService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await trade(market, random.Random(7))  # noqa: S311 - not for secrets
    orders = await written(market)
    assert any(order.order_date is None for order in orders)
    monkeypatch.setattr(placed_totals, "BATCH", 5)

    rows = await counted(market)

    told = {
        tuple(row[name] for name in KEY): (
            row["orders"],
            Decimal(row["pieces"]),
            Decimal(row["net"]),
        )
        for row in rows
    }
    assert len(told) == len(rows)
    assert told == summed(orders)
    assert {row["state"] for row in rows} > {"placed", "cancelled"}
    assert None in {row["credited_to"] for row in rows}
    last = "~"  # the house comes last
    keys = [tuple(row[name] or last for name in KEY) for row in rows]
    assert keys == sorted(keys)
    monkeypatch.setattr(placed_totals, "BATCH", 5_000)
    assert await counted(market) == rows


async def test_drafts_and_what_was_never_placed_are_in_no_sum(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    customer = await market.customer()
    never = await market.order(mia, customer)
    await market.act(mia, never["path"], "cancel")
    await market.order(mia, customer)
    assert await counted(market) == []
    draft = await market.order(mia, customer)
    await market.act(mia, draft["path"], "place")
    [row] = await counted(market)
    assert (row["orders"], row["pieces"], row["net"]) == (1, "2", "20.0000")


async def test_of_another_organization_nothing_is_counted(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    await market.order(mia, await market.customer(), place=True)
    assert await counted(market, uuid4()) == []


async def test_the_command_prints_a_line_a_key(
    market: OrdersService, monkeypatch: pytest.MonkeyPatch
) -> None:
    mia = await market.shop.member("brand_manager")
    for _ in range(2):
        await market.order(mia, await market.customer(), place=True)
    settings = settings_for(Settings, market.shop.urls)
    for name, value in settings.model_dump().items():
        shown = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        if shown is not None:
            monkeypatch.setenv(f"{PREFIX}{name.upper()}", str(shown))

    arguments = ["tally", "--org", str(market.shop.org_id)]
    result = await asyncio.to_thread(CliRunner().invoke, program, arguments)

    assert result.exit_code == 0, result.stderr
    assert [json.loads(line) for line in result.stdout.splitlines()] == await counted(market)
