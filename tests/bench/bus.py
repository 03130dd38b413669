"""P8 and P10: what the outbox and its relay cost beside the bare broker."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aio_pika
import asyncpg
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from measure import Compared, compare_rates, compare_times

from bailiwick_contracts.envelope import EXCHANGE, bulk
from bailiwick_contracts.orders import OrderPlaced
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.bus.outbox import record
from bailiwick_kit.bus.outbox_notify import Wake, plain_dsn
from bailiwick_kit.bus.relay import BULK, Relay
from bailiwick_kit.bus.topology import direct_exchange
from bailiwick_kit.database.engine import Database
from bailiwick_launcher.data_folder import CHECKOUT
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_orders.store import tables
from bailiwick_testkit.servers.real import Postgres, Rabbitmq
from bailiwick_testkit.waiting import until

EVENTS = 10_000
"""How many a turn of P10 sends."""
WAITING = 100_000
"""How much bulk of another organization waits, where P8 is measured beside it."""
WINDOW = 2 * BULK.batch
"""How many messages are under way at a time: what one organization sends at once is soon bulk (ADR 16)."""
BARE = "bare"
_ARGUMENTS: dict[str, Any] = {"x-queue-type": "quorum"}
_SAMPLE = CHECKOUT / "contracts/samples" / OrderPlaced.type / "typical.json"


@contextmanager
def relay_at(urls: DatabaseUrls, broker_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the relay of orders in a process of its own, as its worker does."""
    command = [sys.executable, str(Path(__file__).with_name("relaying.py"))]
    command += [urls.worker, broker_url]
    process = subprocess.Popen(command)  # noqa: S603 - our own program
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


@dataclass
class Bus:
    """The outbox of orders, its exchange, and one beside it that nobody relays to."""

    urls: DatabaseUrls
    admin_dsn: str
    broker_url: str
    channel: AbstractChannel
    org_id: UUID = field(default_factory=uuid4)
    awaited: dict[str, asyncio.Future[float]] = field(default_factory=dict)

    def event(self) -> OrderPlaced:
        """Return an event of ordinary size."""
        sample = json.loads(_SAMPLE.read_text("utf-8"))
        changes = {"org_id": str(self.org_id), "order_id": str(uuid4())}
        return OrderPlaced.model_validate({**sample, **changes})

    @property
    def key(self) -> str:
        """What both queues are bound by."""
        return f"{OrderPlaced.type}.{self.org_id}"

    def awaiting(self, message_id: str) -> asyncio.Future[float]:
        """Return what will be the moment at which that message arrives."""
        return self.awaited.setdefault(message_id, asyncio.get_running_loop().create_future())

    async def arrived(self, message: AbstractIncomingMessage) -> None:
        """Take a message, and tell who waits for it."""
        arrival = self.awaiting(str(message.message_id))
        if not arrival.done():
            arrival.set_result(time.perf_counter())
        await message.ack()

    async def declare(self, name: str, exchange: str) -> aio_pika.abc.AbstractQueue:
        """Declare a queue, bound to an exchange."""
        await self.channel.declare_exchange(exchange, aio_pika.ExchangeType.TOPIC, durable=True)
        queue = await self.channel.declare_queue(name, durable=True, arguments=_ARGUMENTS)
        await queue.bind(exchange, self.key)
        return queue

    async def declare_both(self, name: str) -> list[aio_pika.abc.AbstractQueue]:
        """Declare a queue for each lane of events; that for bulk gets every organization's."""
        own = direct_exchange(
            "orders"
        )  # the relay wants it, whether or not something goes to one queue
        await self.channel.declare_exchange(own, aio_pika.ExchangeType.DIRECT, durable=True)
        beside = await self.declare(bulk(name), bulk(EXCHANGE))
        await beside.bind(bulk(EXCHANGE), OrderPlaced.binding_key())
        return [await self.declare(name, EXCHANGE), beside]


async def drained(admin: asyncpg.Connection) -> None:
    """Return when the outbox is empty."""

    async def is_empty() -> bool:
        found = "SELECT NOT exists(SELECT FROM outbox WHERE sent_at IS NULL)"
        return bool(await admin.fetchval(found))

    await until(is_empty, "an empty outbox", within=60)


async def latency(bus: Bus, name: str, waiting: int = 0) -> Compared:
    """P8: from the commit to the subscriber, beside from publishing to the subscriber.

    `waiting`: how much bulk of another organization the relay has to send meanwhile.
    """
    database = Database(bus.urls.api, pool=2)
    wake = Wake(bus.urls.api)
    database.after_commit(wake.call)
    waking = asyncio.create_task(wake.run())
    (told, _), bare = await bus.declare_both("told"), await bus.declare(BARE, BARE)
    exchange = await bus.channel.get_exchange(BARE)
    tags = [await queue.consume(bus.arrived) for queue in (told, bare)]
    body = bus.event().model_dump_json().encode()

    async def committed() -> float:
        async with database.writing(bus.org_id) as connection:
            [event_id] = await record(connection, tables.outbox, [bus.event()])
            await connection.commit()
            began = time.perf_counter()
        return await bus.awaiting(str(event_id)) - began

    async def published() -> float:
        message = _message(body)
        arrival = bus.awaiting(str(message.message_id))
        began = time.perf_counter()
        await exchange.publish(message, bus.key)
        return await arrival - began

    admin = await asyncpg.connect(bus.admin_dsn)
    try:
        await fill(admin, uuid4(), body, waiting, is_bulk=True)
        with relay_at(bus.urls, bus.broker_url):
            await committed()
            compared = await compare_times(name, committed, published)
            left = await admin.fetchval("SELECT count(*) FROM outbox WHERE sent_at IS NULL")
            assert left or not waiting, "it was all sent before the end"
            return compared
    finally:
        await admin.close()
        waking.cancel()
        await asyncio.gather(waking, return_exceptions=True)
        await database.close()
        for queue, tag in zip((told, bare), tags, strict=True):
            await queue.cancel(tag)


async def throughput(bus: Bus) -> Compared:
    """P10: the relay emptying an outbox, beside publishing as many with the same window."""
    both, bare = await bus.declare_both("told"), await bus.declare(BARE, BARE)
    exchange = await bus.channel.get_exchange(BARE)
    body = bus.event().model_dump_json().encode()
    admin = await asyncpg.connect(bus.admin_dsn)

    async def relayed() -> float:
        await fill(admin, bus.org_id, body, EVENTS)
        relay = Relay(bus.urls.worker, bus.broker_url, "orders", EXCHANGE, {OrderPlaced.type})
        began = time.perf_counter()
        running = asyncio.create_task(relay.run())
        await drained(admin)
        seconds = time.perf_counter() - began
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        for told in both:
            await told.purge()
        return EVENTS / seconds

    async def published() -> float:
        began = time.perf_counter()
        for _ in range(EVENTS // WINDOW):
            await asyncio.gather(
                *(exchange.publish(_message(body), bus.key) for _ in range(WINDOW))
            )
        seconds = time.perf_counter() - began
        await bare.purge()
        return EVENTS / seconds

    try:
        return await compare_rates("P10 relay / bare confirmed publishing", relayed, published)
    finally:
        await admin.close()


async def fill(
    admin: asyncpg.Connection, org_id: UUID, body: bytes, count: int, *, is_bulk: bool = False
) -> None:
    """Put events of an organization into an empty outbox."""
    await admin.execute("TRUNCATE outbox")
    await admin.execute(
        """
        INSERT INTO outbox (event_id, org_id, subject, type, body, bulk)
        SELECT gen_random_uuid(), $1, gen_random_uuid(), $2, $3, $5 FROM generate_series(1, $4::int)
        """,
        *(org_id, OrderPlaced.type, body, count, is_bulk),
    )
    await admin.execute("VACUUM ANALYZE outbox")


def _message(body: bytes) -> aio_pika.Message:
    """Return a message as it must be, and no more: persistent, with an id."""
    persistent = aio_pika.DeliveryMode.PERSISTENT
    return aio_pika.Message(body, delivery_mode=persistent, message_id=str(uuid4()))


@asynccontextmanager
async def open_bus(postgres: Postgres, rabbitmq: Rabbitmq) -> AsyncIterator[Bus]:
    """Give a database and a virtual host of one's own."""
    urls = await postgres.fresh_database("orders")
    admin = plain_dsn(postgres.url.rsplit("/", 1)[0] + f"/{urls.name}")
    broker_url = await asyncio.to_thread(rabbitmq.vhost)
    async with open_channel(broker_url, "bench") as channel:
        yield Bus(urls, admin, broker_url, channel)


async def measured(postgres: Postgres, rabbitmq: Rabbitmq) -> list[Compared]:
    """Measure both."""
    async with open_bus(postgres, rabbitmq) as bus:
        quiet = await latency(bus, "P8 commit to subscriber / bare publish")
        crowded = await latency(bus, "P8 beside 100,000 of bulk / bare publish", WAITING)
        return [quiet, crowded, await throughput(bus)]
