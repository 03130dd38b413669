"""Whoever is let in to read one queue reads that queue and can do nothing else; nobody waits for them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika
import aiohttp
import pytest
from aio_pika.abc import AbstractChannel

from bailiwick_contracts.envelope import bulk
from bailiwick_kit.bus import topology
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.bus.broker_management import Management, ManagementError
from bailiwick_notifier import subscribers
from bailiwick_notifier.subscribers import CONNECTIONS, NoReaderError, Reader, Readers
from bailiwick_testkit.servers.real import Postgres, Rabbitmq
from bailiwick_testkit.services.toy import (
    EXCHANGE,
    QUEUE,
    ThingChanged,
    Things,
    changed,
    migrated,
    open_things,
)
from bailiwick_testkit.waiting import running, until

# Others of each process: users are the whole broker's, and two test workers share one.
ORG, OTHER = sorted((uuid4(), uuid4()))
NAME, NEIGHBOUR = f"reader.{ORG}.erp", f"reader.{OTHER}.erp"
KEY = f"{ThingChanged.type}.{ORG}"
REFUSED = aio_pika.exceptions.ChannelClosed


@dataclass
class Side:
    """The operator's side of a test's broker."""

    rabbitmq: Rabbitmq
    readers: Readers
    broker_url: str

    def address(self, name: str, password: str) -> str:
        parts = urlsplit(self.broker_url)
        return parts._replace(netloc=f"{name}:{password}@{parts.hostname}:{parts.port}").geturl()

    async def let_in(self, name: str = NAME, *keys: str) -> str:
        password = await self.readers.put(name, keys or [KEY])
        assert password is not None
        return self.address(name, password)

    async def about(self, path: str) -> Any:
        return await asyncio.to_thread(self.rabbitmq.ask, "GET", path)


@asynccontextmanager
async def open_side(rabbitmq: Rabbitmq, broker_url: str) -> AsyncIterator[Side]:
    async with Management(rabbitmq.server.management, broker_url) as management:
        yield Side(rabbitmq, Readers(management, EXCHANGE, ripens=0), broker_url)
        for name in (NAME, NEIGHBOUR):
            await management.drop_user(name)


@pytest.fixture
async def side(rabbitmq: Rabbitmq) -> AsyncIterator[Side]:
    vhost = await asyncio.to_thread(rabbitmq.vhost)
    await topology.declare(vhost, EXCHANGE, {QUEUE: [ThingChanged.binding_key()]})
    async with open_side(rabbitmq, vhost) as side:
        yield side
    await asyncio.to_thread(rabbitmq.drop_vhost, vhost)


async def publish(side: Side, key: str, body: bytes, exchange_name: str = EXCHANGE) -> None:
    async with open_channel(side.broker_url, "test") as channel:
        exchange = await channel.get_exchange(exchange_name)
        await exchange.publish(aio_pika.Message(body), key, mandatory=False)


async def read(address: str, queue: str = NAME) -> list[bytes]:
    found = []
    async with open_channel(address, "reader") as channel:
        while message := await (await channel.get_queue(queue)).get(fail=False):
            found.append(message.body)
            await message.ack()
    return found


async def test_a_reader_gets_what_its_queue_is_bound_by_and_nothing_else(side: Side) -> None:
    address = await side.let_in()
    await publish(side, KEY, b"mine")
    await publish(side, f"{ThingChanged.type}.{OTHER}", b"another organization's")
    await publish(side, f"things.other.changed.v1.{ORG}", b"another type")
    assert await read(address) == [b"mine"]


async def test_a_reader_gets_bulk_too_however_its_queue_came_to_be_bound(side: Side) -> None:
    address = await side.let_in()
    await side.let_in(NEIGHBOUR, f"{ThingChanged.type}.{OTHER}")
    await side.readers.management.unbind(bulk(EXCHANGE), NAME, KEY)  # as an older version leaves it
    assert await side.readers.bind_anew("reader.") == [NAME]
    assert await side.readers.bind_anew("reader.") == []
    for exchange in (EXCHANGE, bulk(EXCHANGE)):
        await publish(side, KEY, exchange.encode(), exchange)
        await publish(side, f"{ThingChanged.type}.{OTHER}", b"another organization's", exchange)
    assert await read(address) == [EXCHANGE.encode(), bulk(EXCHANGE).encode()]


async def declare(channel: AbstractChannel) -> object:
    return await channel.declare_queue("mine", durable=True)


async def declare_for_oneself(channel: AbstractChannel) -> object:
    return await channel.declare_queue(exclusive=True)


async def declare_an_exchange(channel: AbstractChannel) -> object:
    return await channel.declare_exchange("mine")


async def delete(channel: AbstractChannel) -> object:
    return await (await channel.get_queue(NAME)).delete(if_empty=False, if_unused=False)


async def bind(channel: AbstractChannel) -> object:
    return await (await channel.get_queue(NAME)).bind(EXCHANGE, "#")


async def unbind(channel: AbstractChannel) -> object:
    return await (await channel.get_queue(NAME)).unbind(EXCHANGE, KEY)


async def publish_an_event(channel: AbstractChannel) -> object:
    exchange = await channel.get_exchange(EXCHANGE)
    return await exchange.publish(aio_pika.Message(b"forged"), KEY)


async def publish_to_a_queue(channel: AbstractChannel) -> object:
    return await channel.default_exchange.publish(aio_pika.Message(b"forged"), NEIGHBOUR)


async def get_from_a_neighbour(channel: AbstractChannel) -> object:
    return await (await channel.get_queue(NEIGHBOUR)).get(fail=False)


async def ignore(_: object) -> None:
    pass


async def consume_a_neighbours(channel: AbstractChannel) -> object:
    return await (await channel.get_queue(NEIGHBOUR)).consume(ignore)


async def empty_a_neighbours(channel: AbstractChannel) -> object:
    return await (await channel.get_queue(NEIGHBOUR)).purge()


async def get_from_one_of_ours(channel: AbstractChannel) -> object:
    return await (await channel.get_queue(QUEUE)).get(fail=False)


Attempt = Callable[[AbstractChannel], Awaitable[object]]
ATTEMPTS: tuple[Attempt, ...] = (
    declare,
    declare_for_oneself,
    declare_an_exchange,
    delete,
    bind,
    unbind,
    publish_an_event,
    publish_to_a_queue,
    get_from_a_neighbour,
    consume_a_neighbours,
    empty_a_neighbours,
    get_from_one_of_ours,
)


async def test_a_reader_may_do_nothing_else(side: Side) -> None:
    address = await side.let_in()
    await side.let_in(NEIGHBOUR, f"{ThingChanged.type}.{OTHER}")
    passed = [attempt.__name__ for attempt in ATTEMPTS if not await is_refused(address, attempt)]
    assert passed == []


async def is_refused(address: str, attempt: Attempt) -> bool:
    async with open_channel(address, "reader") as channel:
        try:
            await attempt(channel)
        except aio_pika.exceptions.ChannelClosed as error:
            return "ACCESS_REFUSED" in str(error)
        return False


async def test_all_that_a_reader_can_learn_of_another_queue_is_how_full_it_is(side: Side) -> None:
    address = await side.let_in()
    await side.let_in(NEIGHBOUR, f"{ThingChanged.type}.{OTHER}")
    async with open_channel(address, "reader") as channel:
        # The broker asks no permission for this; who does not know the exact name learns nothing.
        neighbour = await channel.declare_queue(NEIGHBOUR, passive=True)
        assert neighbour.declaration_result.message_count == 0


async def test_a_reader_may_not_ask_the_management_api(side: Side) -> None:
    address = urlsplit(await side.let_in())
    feed = urlsplit(side.rabbitmq.server.management)
    async with aiohttp.ClientSession(
        headers={"Authorization": aiohttp.encode_basic_auth(NAME, address.password or "")}
    ) as session:
        for path in ("whoami", "queues", f"queues/{address.path[1:]}/{NAME}", "users"):
            url = f"http://{feed.hostname}:{feed.port}/api/{path}"
            async with session.get(url) as answer:
                assert answer.status == 401


async def test_what_a_reader_may_is_written_down_as_that(side: Side) -> None:
    await side.let_in()
    host = urlsplit(side.broker_url).path[1:]
    user = await side.about(f"/users/{NAME}")
    assert user["tags"] in ([], "")
    [permission] = await side.about(f"/users/{NAME}/permissions")
    escaped = NAME.replace(".", r"\.").replace("-", r"\-")
    assert {key: permission[key] for key in ("vhost", "configure", "write", "read")} == {
        "vhost": host,
        "configure": "^$",
        "write": "^$",
        "read": f"^{escaped}$",
    }
    found = await side.about(f"/queues/{host}/{NAME}")
    assert (found["durable"], found["type"]) == (True, "quorum")
    assert found["arguments"]["x-overflow"] == "drop-head"


async def test_more_connections_than_allowed_are_refused(side: Side) -> None:
    address = await side.let_in()
    async with AsyncExitStack() as held:
        for _ in range(CONNECTIONS):
            _ = await held.enter_async_context(open_channel(address, "held"))
        with pytest.raises(aio_pika.exceptions.AMQPError):
            async with open_channel(address, "one too many"):
                pass


@pytest.fixture
async def things(postgres: Postgres, rabbitmq: Rabbitmq) -> AsyncIterator[Things]:
    """Give a service that publishes, with its queues declared."""
    urls = await migrated(postgres)
    vhost = await asyncio.to_thread(rabbitmq.vhost)
    async with open_things(urls, vhost, postgres.url) as things:
        await things.declare()
        yield things
    await asyncio.to_thread(rabbitmq.drop_vhost, vhost)
    await postgres.drop(urls)


async def test_a_reader_that_stays_away_loses_the_oldest_and_holds_up_nobody(
    rabbitmq: Rabbitmq, things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(subscribers._ARGUMENTS, "x-max-length", 10)
    async with open_side(rabbitmq, things.broker_url) as side:
        await stay_away(side, things)


async def stay_away(side: Side, things: Things) -> None:
    address = await side.let_in()
    ids = await things.change(*(changed(ORG) for _ in range(200)))
    async with running(things.relay().run):

        async def is_empty() -> bool:
            return await things.unsent() == 0

        await until(is_empty, "an empty outbox")
    assert await things.one("SELECT max(attempts) FROM outbox") == 0
    async with open_channel(things.broker_url, "test") as channel:
        ours = await channel.get_queue(QUEUE)
        assert ours.declaration_result.message_count == len(ids)
    async with open_channel(address, "reader") as channel:
        queue = await channel.get_queue(NAME)
        kept = []
        while message := await queue.get(no_ack=True, fail=False):
            kept.append(message.message_id)
    assert kept == [str(one) for one in ids[-10:]]


async def test_putting_a_reader_again_changes_its_bindings_alone(side: Side) -> None:
    address = await side.let_in()
    assert await side.readers.put(NAME, ["a.b", "c.d"]) is None
    [reader] = await side.readers.all(NAME)
    assert reader.keys == await side.readers.keys(NAME) == {"a.b", "c.d"}
    for exchange in (EXCHANGE, bulk(EXCHANGE)):
        await publish(side, KEY, b"no longer", exchange)
    await publish(side, "a.b", b"now")
    assert await read(address) == [b"now"]


async def test_readers_are_listed_by_how_their_names_begin(side: Side) -> None:
    await side.let_in()
    await side.let_in(NEIGHBOUR, "a.b")
    mine, neighbour = (
        Reader(NAME, frozenset({KEY}), 0, 0),
        Reader(NEIGHBOUR, frozenset({"a.b"}), 0, 0),
    )
    assert await side.readers.all("reader.") == [mine, neighbour]
    assert await side.readers.all(f"reader.{ORG}.") == [mine]
    assert await side.readers.all("reader.nobody.") == []
    assert await side.readers.keys("reader.nobody") == frozenset()


async def test_a_reader_is_listed_with_what_management_has_counted(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def counted(_: str) -> list[dict[str, Any]]:  # the real figures are some seconds late
        return [{"name": NAME, "messages": 3, "consumers": 1}]

    await side.let_in()
    monkeypatch.setattr(side.readers.management, "queues", counted)
    assert await side.readers.all(NAME) == [Reader(NAME, frozenset({KEY}), messages=3, consumers=1)]


async def closed(channel: AbstractChannel) -> None:
    async def is_closed() -> bool:
        return channel.is_closed

    await until(is_closed, "a closed channel")


async def test_a_renewed_password_ends_what_was_open_and_keeps_the_queue(side: Side) -> None:
    address = await side.let_in()
    await publish(side, KEY, b"waits")
    async with open_channel(address, "reader") as channel:
        password = await side.readers.renew(NAME)
        await closed(channel)
    with pytest.raises(aio_pika.exceptions.ProbableAuthenticationError):
        await read(address)
    assert await read(side.address(NAME, password)) == [b"waits"]


async def test_removing_a_reader_ends_what_was_open_and_leaves_nothing(side: Side) -> None:
    address = await side.let_in()
    async with open_channel(address, "reader") as channel:
        await side.readers.remove(NAME)
        await closed(channel)
    with pytest.raises(aio_pika.exceptions.ProbableAuthenticationError):
        await read(address)
    assert await side.readers.all("reader.") == []
    for gone in (side.readers.remove, side.readers.renew):
        with pytest.raises(NoReaderError):
            await gone(NAME)


async def test_who_was_removed_and_let_in_again_has_another_password_and_an_empty_queue(
    side: Side,
) -> None:
    before = await side.let_in()
    await publish(side, KEY, b"before")
    await side.readers.remove(NAME)
    after = await side.let_in()
    assert before != after
    assert await read(after) == []


async def test_what_a_broken_off_attempt_left_is_completed(side: Side) -> None:
    await side.let_in()
    await side.readers.management.drop_user(NAME)
    address = await side.let_in()
    assert await read(address) == []


async def test_a_queue_is_bound_only_when_it_is_old_enough_to_survive_a_crash(side: Side) -> None:
    readers = Readers(side.readers.management, EXCHANGE, ripens=60)
    putting = asyncio.create_task(readers.put(NAME, [KEY]))

    async def is_there() -> bool:
        return bool(await side.readers.all(NAME))

    await until(is_there)
    assert await side.readers.keys(NAME) == frozenset()
    putting.cancel()
    await asyncio.gather(putting, return_exceptions=True)


async def test_a_queue_that_is_there_with_other_bounds_is_an_error(side: Side) -> None:
    async with open_channel(side.broker_url, "test") as channel:
        await channel.declare_queue(NAME, durable=True)
    with pytest.raises(ManagementError, match="inequivalent arg"):
        await side.readers.put(NAME, [KEY])


@pytest.mark.parametrize("port", ["9", "x"])
async def test_an_api_that_is_not_there_is_an_error_that_shows_no_credentials(port: str) -> None:
    url = f"http://us:the-word@127.0.0.1:{port}"
    async with Management(url, "amqp://a:b@h/") as management:
        started = time.monotonic()
        with pytest.raises(ManagementError) as raised:
            await Readers(management, EXCHANGE).put(NAME, [KEY])
    assert time.monotonic() - started < 15
    assert "the-word" not in f"{raised.value} {management}"
    assert management.virtual_host == "/"


async def test_an_api_that_wants_another_password_is_an_error_that_shows_none(side: Side) -> None:
    feed = urlsplit(side.rabbitmq.server.management)
    url = f"http://{feed.username}:the-word@{feed.hostname}:{feed.port}"
    async with Management(url, side.broker_url) as management:
        with pytest.raises(ManagementError, match="401") as raised:
            await management.has_user(NAME)
    assert "the-word" not in str(raised.value)
