"""A PostgreSQL that is killed or restarted: 503 at worst, and everything goes on by itself (F7)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.envelope import Event
from bailiwick_kit.database.engine import Database
from bailiwick_kit.web.problems import answer_to
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_testkit.servers.real import Rabbitmq, Servers
from bailiwick_testkit.services.toy import Things, changed, copy, open_things
from bailiwick_testkit.waiting import running, until

pytestmark = pytest.mark.faults
ORG = UUID(int=1)


@pytest.fixture
async def doomed(
    fragile: Servers, fragile_urls: DatabaseUrls, rabbitmq: Rabbitmq
) -> AsyncIterator[Things]:
    """Give the service on a database to do harm to."""
    vhost = await asyncio.to_thread(rabbitmq.vhost)
    async with open_things(fragile_urls, vhost, fragile.postgres().url) as things:
        await things.declare()
        yield things
    await asyncio.to_thread(rabbitmq.drop_vhost, vhost)


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_a_database_that_goes_and_comes_back_is_503_in_between_and_loses_nothing(
    doomed: Things, fragile: Servers, how: str
) -> None:
    server = fragile.postgres()
    answered: Counter[int] = Counter()
    promised: set[UUID] = set()

    async def keep_changing() -> None:
        while True:
            event = changed(ORG)
            try:
                await doomed.change(event)
            except Exception as error:  # noqa: BLE001 - which one it is, is the question
                answered[answer_to(error, "0" * 32).status_code] += 1
            else:
                answered[201] += 1
                promised.add(event.thing_id)
            await asyncio.sleep(0.02)

    async def has_answered(status: int, count: int) -> bool:
        return answered[status] >= count

    async with running(doomed.relay().run, doomed.consumer().run):
        async with running(keep_changing):
            await until(lambda: has_answered(201, 30))
            await asyncio.to_thread(getattr(server, how))
            await until(lambda: has_answered(503, 5))
            await asyncio.to_thread(server.start)
            good = answered[201] + 30
            await until(lambda: has_answered(201, good), "the pool heals", within=5)
        await until(doomed.is_settled, "all sent and had their effect", within=20)
    assert set(answered) == {201, 503}
    originals, copies, times = await doomed.state()
    assert originals == copies
    assert times == {1}
    assert promised <= {row[1] for row in originals}
    dead = await doomed.one("SELECT count(*) FROM inbox WHERE done_at IS NULL")
    assert dead == 0


async def test_a_message_waits_for_the_database_and_is_then_applied(
    doomed: Things, fragile: Servers
) -> None:
    server = fragile.postgres()
    await doomed.change(*(changed(ORG) for _ in range(40)))
    gate = asyncio.Event()

    async def when_open(connection: AsyncConnection, event: Event) -> None:
        await gate.wait()
        await copy(connection, event)

    async with running(doomed.consumer(when_open).run):
        async with running(doomed.relay().run):

            async def is_sent() -> bool:
                return await doomed.unsent() == 0

            await until(is_sent)
        await asyncio.to_thread(server.stop)
        gate.set()
        await asyncio.to_thread(server.start)
        await until(doomed.is_settled)
    originals, copies, times = await doomed.state()
    assert (len(originals), originals, times) == (40, copies, {1})


@pytest.mark.parametrize("connections", ["idle", "lent"])
async def test_a_frozen_database_holds_up_no_end(
    doomed: Things, fragile: Servers, connections: str
) -> None:
    """Asked one after the other, each connection would wait for as long as a statement may take."""
    server, database = fragile.postgres(), Database(doomed.urls.api, name="frozen", pool=5)
    free = asyncio.Event()
    lent: list[None] = []

    async def borrow() -> None:
        async with database.reading(None):
            lent.append(None)
            await free.wait()

    async def are_lent() -> bool:
        return len(lent) == 5

    async def are_gone() -> bool:
        return not await doomed.ask(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'frozen'"
        )

    borrowing = [asyncio.create_task(borrow()) for _ in range(5)]
    await until(are_lent)
    if connections == "idle":
        free.set()
        await asyncio.gather(*borrowing)
    server.pause()
    try:
        for task in borrowing:
            task.cancel()  # as a server does with requests that have no more time
        async with asyncio.timeout(5):
            await database.close()
    finally:
        server.resume()
    await asyncio.gather(*borrowing, return_exceptions=True)
    await until(are_gone)
