"""A service without business on real servers, for the tests of bus and database."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from bailiwick_contracts.envelope import bulk
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.bus.topology import dead_queue, retry_queue
from bailiwick_launcher.databases import DatabaseUrls, copy_database
from bailiwick_testkit.servers.real import Postgres, Rabbitmq, Servers
from bailiwick_testkit.services.toy import QUEUE, Things, migrated, open_things


@pytest.fixture(scope="session")
async def template(postgres: Postgres) -> DatabaseUrls:
    """Give a migrated database to copy from, which is quicker than migrating each."""
    return await migrated(postgres)


@pytest.fixture
async def urls(postgres: Postgres, template: DatabaseUrls) -> AsyncIterator[DatabaseUrls]:
    """Give a database of the test's own."""
    secret = postgres.places.kept.secret("roles")
    name = f"{template.name}_{uuid4().hex[:8]}"
    urls = await copy_database(postgres.url, "things", name, secret, template.name)
    yield urls
    await postgres.drop(urls)


@pytest.fixture
async def silent(urls: DatabaseUrls, postgres: Postgres) -> AsyncIterator[Things]:
    """Give the service without a broker."""
    async with open_things(urls, "amqp://nobody@127.0.0.1:9/", postgres.url) as things:
        yield things


@pytest.fixture
async def things(
    urls: DatabaseUrls, postgres: Postgres, rabbitmq: Rabbitmq
) -> AsyncIterator[Things]:
    """Give the service with its queues declared."""
    vhost = await asyncio.to_thread(rabbitmq.vhost)
    async with open_things(urls, vhost, postgres.url) as things:
        await things.declare()
        yield things
    await asyncio.to_thread(rabbitmq.drop_vhost, vhost)


@pytest.fixture(scope="session")
def fragile(servers: Servers) -> Iterator[Servers]:
    """Give servers to do harm to. Who harms one leaves it running."""
    with servers.private() as mine:
        yield mine


@pytest.fixture
async def fragile_urls(fragile: Servers) -> DatabaseUrls:
    """Give a database on a server to do harm to."""
    return await migrated(await asyncio.to_thread(fragile.postgres))


@pytest.fixture(scope="session")
async def old_vhost(fragile: Servers, template: DatabaseUrls, postgres: Postgres) -> str:
    """Give a virtual host on a broker to do harm to, with queues that are old enough for it.

    A quorum queue younger than a second may come back without a leader, and nothing tells its age.
    """
    broker = await asyncio.to_thread(fragile.rabbitmq)
    vhost = await asyncio.to_thread(broker.vhost)
    async with open_things(template, vhost, postgres.url) as things:
        await things.declare()
    await asyncio.sleep(3)
    return vhost


@pytest.fixture
async def shaken(
    urls: DatabaseUrls, postgres: Postgres, fragile: Servers, old_vhost: str
) -> AsyncIterator[Things]:
    """Give the service on a broker to do harm to."""
    async with open_things(urls, old_vhost, postgres.url) as things:
        yield things
    async with open_channel(old_vhost, "purge") as channel:
        lanes = (QUEUE, bulk(QUEUE))
        for queue in (*lanes, *map(retry_queue, lanes), dead_queue(QUEUE)):
            await (await channel.get_queue(queue)).purge()
