"""Through the real broker: what customers and identity tell arrives, and what orders tells goes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aio_pika
import pytest

from bailiwick_contracts.envelope import EXCHANGE
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.process.service import declare_topology
from bailiwick_orders.main import work
from bailiwick_orders.settings import Settings
from bailiwick_testkit.fakes.subscriber import publish
from bailiwick_testkit.servers.real import Rabbitmq
from bailiwick_testkit.services.application import served, settings_for
from bailiwick_testkit.services.orders import OrdersService

OURS = "an-outside-reader"


@pytest.fixture
async def broker(rabbitmq: Rabbitmq) -> AsyncIterator[str]:
    """A virtual host with the whole topology, and a queue of ours that hears of orders."""
    url = await asyncio.to_thread(rabbitmq.vhost)
    await declare_topology(url)
    async with open_channel(url, "a test") as channel:
        queue = await channel.declare_queue(OURS, durable=True)
        await queue.bind(EXCHANGE, routing_key="orders.#")
    yield url
    await asyncio.to_thread(rabbitmq.drop_vhost, url)


@asynccontextmanager
async def working(market: OrdersService, broker: str) -> AsyncIterator[None]:
    """Run the worker as the service does, before the change feeds of the made-up siblings."""
    feeds = (market.shop.identity.application(), market.customers.application())
    async with served(*feeds) as (identity_url, customers_url):
        settings = settings_for(
            Settings,
            market.shop.urls,
            broker_url=broker,
            identity_url=identity_url,
            customers_url=customers_url,
        )
        async with work(settings) as jobs:
            tasks = [asyncio.ensure_future(job()) for job in jobs]
            yield
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def soon(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return once it holds, at the latest in twenty seconds."""
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 - it is the worker that we wait for
            await asyncio.sleep(0.05)


async def test_a_customer_told_over_the_bus_can_be_ordered_for_and_the_order_is_told(
    market: OrdersService, broker: str
) -> None:
    ana = await market.shop.member("sales_representative")
    async with working(market, broker):
        customer = market.customers.customer()
        market.customers.assign(customer, ana.member_id)
        [made, assigned] = market.customers.told
        await publish(broker, assigned, made, assigned)  # out of order, and one of them twice

        async def may_order() -> bool:
            return (await market.create(ana, customer, place=True)).status_code == 201

        await soon(may_order)
        async with open_channel(broker, "a test") as channel:
            queue = await channel.get_queue(OURS)
            async with asyncio.timeout(20), queue.iterator() as messages:
                message = await anext(messages)
                await message.ack()
    assert message.type == "orders.order.placed.v1"
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT


async def test_without_events_the_feeds_are_enough(market: OrdersService, broker: str) -> None:
    ana = market.shop.identity.person(market.shop.org_id, "sales_representative")
    customer = market.customers.customer()
    market.customers.assign(customer, ana.member_id)
    async with working(market, broker):

        async def may_order() -> bool:
            return (await market.create(ana, customer)).status_code == 201

        await soon(may_order)
