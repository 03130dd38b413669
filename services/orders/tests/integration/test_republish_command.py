"""`republish` tells what it does, and does nothing where nobody would get it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.process.service import declare_topology
from bailiwick_kit.settings import PREFIX
from bailiwick_orders.main import program
from bailiwick_orders.settings import Settings
from bailiwick_orders.store import tables
from bailiwick_testkit.servers.real import Rabbitmq
from bailiwick_testkit.services.application import settings_for
from bailiwick_testkit.services.orders import OrdersService


@pytest.fixture
async def broker(rabbitmq: Rabbitmq) -> AsyncIterator[str]:
    """A virtual host with the whole topology."""
    url = await asyncio.to_thread(rabbitmq.vhost)
    await declare_topology(url)
    yield url
    await asyncio.to_thread(rabbitmq.drop_vhost, url)


async def republish(
    market: OrdersService, broker: str, to: str, monkeypatch: pytest.MonkeyPatch
) -> Result:
    settings = settings_for(Settings, market.shop.urls, broker_url=broker)
    for name, value in settings.model_dump().items():
        shown = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        if shown is not None:
            monkeypatch.setenv(f"{PREFIX}{name.upper()}", str(shown))
    arguments = ["republish", "--org", str(market.shop.org_id), "--to", to]
    return await asyncio.to_thread(CliRunner().invoke, program, arguments)


async def written(market: OrdersService) -> list[str]:
    """Return to whom snapshots are going."""
    table = tables.outbox
    async with market.shop.database.reading(market.shop.org_id) as connection:
        found = await connection.execute(
            sa.select(table.c.recipient).where(table.c.recipient.is_not(None), table.c.bulk)
        )
        return list(found.scalars())


async def two_orders(market: OrdersService) -> None:
    mia = await market.shop.member("brand_manager")
    for _ in range(2):
        await market.order(mia, await market.customer(), place=True)


async def test_orders_are_told_again_to_queues_that_there_are(
    market: OrdersService, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two_orders(market)
    subscriber = f"subscriber.{market.shop.org_id}.erp"
    async with open_channel(broker, "a test") as channel:
        await channel.declare_queue(subscriber, durable=True)
    for to, queue in ("reports.orders", "reports.orders.bulk"), (subscriber, subscriber):
        done = await republish(market, broker, to, monkeypatch)
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout == f"2 orders are in the outbox, to be sent to {queue}\n"
        assert (await written(market))[-2:] == [queue] * 2


@pytest.mark.parametrize("is_there", [True, False], ids=["a typing error", "no broker"])
async def test_nothing_is_written_for_a_queue_that_is_not_there(
    market: OrdersService, broker: str, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    await two_orders(market)
    url = broker if is_there else "amqp://nobody@127.0.0.1:9/"
    to = f"subscriber.{market.shop.org_id}.typo" if is_there else "reports.orders"
    done = await republish(market, url, to, monkeypatch)
    assert (done.exit_code, done.stdout) == (1, "")
    assert ("There is no queue" if is_there else "The broker does not answer") in done.stderr
    assert await written(market) == []
