"""Told to stop, a service ends in order and in time, with what was in hand answered (F26)."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from bailiwick_kit.database import migrations
from bailiwick_kit.process.health import Health
from bailiwick_kit.process.service import Service, Work
from bailiwick_kit.settings import ServiceSettings
from bailiwick_launcher.data_folder import claimed_port
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_testkit.servers.real import Postgres, Servers
from bailiwick_testkit.services.toy import MIGRATIONS, Things, changed, open_things
from bailiwick_testkit.waiting import until

ORG = UUID(int=1)
GONE_WITHIN = 25
"""Seconds until a process that is told to stop has gone (F26)."""
RUN = "import runpy; runpy.run_module('bailiwick_testkit.services.toy', run_name='__main__')"


class Program:
    """A service in a process of its own, and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.said: list[str] = []

    async def listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.said.append(line.decode().strip())

    async def has_said(self, line: str) -> None:
        async def has() -> bool:
            return line in self.said

        await until(has, line)

    async def stopped_by(self, number: signal.Signals, *, within: float = 15) -> float:
        started = time.monotonic()
        self.process.send_signal(number)
        async with asyncio.timeout(within):
            await self.process.wait()
        return time.monotonic() - started


@asynccontextmanager
async def program(
    things: Things,
    command: str,
    port: int = 0,
    operations: int = 0,
    drain_delay: float = 0,
    first: str = "",
) -> AsyncIterator[Program]:
    port = port or claimed_port()
    nowhere = "http://127.0.0.1:9"
    settings = {
        "DATABASE_OWNER_URL": things.urls.owner,
        "DATABASE_API_URL": things.urls.api,
        "DATABASE_WORKER_URL": things.urls.worker,
        "BROKER_URL": things.broker_url,
        "POLICY_URL": nowhere,
        "LISTEN": f"127.0.0.1:{port}",
        "OPERATIONS_LISTEN": f"127.0.0.1:{operations or claimed_port()}",
        "DRAIN_DELAY": str(drain_delay),
        "IDENTITY_URL": nowhere,
        "CUSTOMERS_URL": nowhere,
        "DOOR_SECRET": "a-door-secret-for-tests",
        "CURSOR_SECRET": "a-cursor-secret-for-tests",
        "ISSUER": nowhere,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"{first}\n{RUN}", command),
        env={**things.environment(), **{f"BAILIWICK_{k}": v for k, v in settings.items()}},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    one = Program(process, port)
    listening = asyncio.create_task(one.listen())
    try:
        yield one
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening


async def is_answering(one: Program) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", one.port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_answers_what_is_in_hand_then_ends_the_worker_then_itself(
    things: Things, number: signal.Signals
) -> None:
    async with program(things, "serve") as one, aiohttp.ClientSession() as session:
        await one.has_said("worker open")
        await until(lambda: is_answering(one))
        url = f"http://127.0.0.1:{one.port}/slow"
        async with session.get(url) as answer:  # leaves a connection open that is kept alive
            assert answer.status == 200
        in_hand = asyncio.create_task(session.get(url))

        async def has_begun() -> bool:
            return one.said.count("request begun") == 2

        await until(has_begun)
        await things.change(*(changed(ORG) for _ in range(20)))
        seconds = await one.stopped_by(number)
        assert (await in_hand).status == 200
        assert one.process.returncode == 0
        assert seconds < 10
    order = ("request answered", "application closed", "worker closed")
    assert [line for line in one.said if line in order][1:] == list(order)


async def test_a_worker_ends_in_time_and_another_goes_on(things: Things) -> None:
    async with program(things, "worker") as one:
        await one.has_said("worker open")
        await things.change(*(changed(ORG) for _ in range(300)))

        async def has_begun() -> bool:
            return bool(await things.one("SELECT count(*) FROM effects"))

        await until(has_begun)
        seconds = await one.stopped_by(signal.SIGTERM)
        assert (one.process.returncode, seconds < 10) == (0, True)
        assert one.said[-1] == "worker closed"
    async with program(things, "worker") as other:
        await until(things.is_settled)
        await other.stopped_by(signal.SIGTERM)
        assert other.process.returncode == 0
    originals, copies, times = await things.state()
    assert (len(originals), originals, times) == (300, copies, {1})


async def test_a_worker_without_broker_or_database_ends_in_time_too(silent: Things) -> None:
    async with program(silent, "worker") as one:
        await one.has_said("worker open")
        seconds = await one.stopped_by(signal.SIGTERM)
        assert (one.process.returncode, seconds < 10) == (0, True)


@pytest.fixture
async def stiff(
    fragile: Servers, fragile_urls: DatabaseUrls, old_vhost: str
) -> AsyncIterator[Things]:
    """Give the service on a database and a broker that can both be frozen."""
    async with open_things(fragile_urls, old_vhost, fragile.postgres().url) as things:
        yield things


@asynccontextmanager
async def frozen(fragile: Servers) -> AsyncIterator[None]:
    servers = fragile.postgres(), fragile.rabbitmq()
    for server in servers:
        server.pause()
    try:
        yield
    finally:
        for server in servers:
            server.resume()


@pytest.mark.faults
async def test_whose_database_and_broker_are_frozen_and_client_is_slow_ends_in_time_all_the_same(
    stiff: Things, fragile: Servers
) -> None:
    # It is the orderly end that is timed, not the last resort.
    first = "from bailiwick_kit.process import service; service.AT_MOST = 60"
    running = program(stiff, "serve", drain_delay=5, first=first)
    async with running as one, aiohttp.ClientSession() as session:
        await until(lambda: is_answering(one))
        url = f"http://127.0.0.1:{one.port}"
        await asyncio.gather(*(session.get(f"{url}/slow") for _ in range(3)))
        await stiff.change(*(changed(ORG) for _ in range(20)))
        await until(stiff.is_settled)
        async with session.get(f"{url}/endless") as endless, frozen(fragile):
            assert endless.status == 200
            seconds = await one.stopped_by(signal.SIGTERM, within=60)
            assert (one.process.returncode, seconds < GONE_WITHIN) == (0, True)


async def test_what_does_not_end_is_cut_off(silent: Things) -> None:
    first = "from bailiwick_kit.process import service; service.GRACE, service.AT_MOST = 60, 3"
    async with program(silent, "serve", first=first) as one, aiohttp.ClientSession() as session:
        await until(lambda: is_answering(one))
        async with session.get(f"http://127.0.0.1:{one.port}/endless") as endless:
            assert endless.status == 200
            await one.stopped_by(signal.SIGTERM)
        assert one.process.returncode == 1


async def test_who_is_told_to_stop_is_not_ready_and_serves_until_routers_have_forgotten_it(
    things: Things,
) -> None:
    operations = claimed_port()
    async with (
        program(things, "api", operations=operations, drain_delay=2) as one,
        aiohttp.ClientSession() as session,
    ):
        await until(lambda: is_answering(one))

        async def parts() -> tuple[int, Any]:
            async with session.get(f"http://127.0.0.1:{operations}/ready") as answer:
                return answer.status, await answer.json()

        # This one has no policy engine: what it says of its parts is told apart all the same.
        assert (await parts())[1]["checks"] == {"database": "ok", "policy": "failed", "http": "ok"}
        one.process.send_signal(signal.SIGTERM)
        async with session.get(f"http://127.0.0.1:{one.port}/slow") as answer:  # a new one
            assert answer.status == 200
        assert (await parts())[0] == 503
        async with asyncio.timeout(15):
            assert await one.process.wait() == 0


async def returns() -> None:
    await asyncio.sleep(0)


async def is_cancelled_from_within() -> None:
    raise asyncio.CancelledError  # as by a driver whose connection has gone


@pytest.mark.parametrize("job", [returns, is_cancelled_from_within])
async def test_a_worker_with_a_job_that_ends_by_itself_does_not_go_on_without_it(job: Work) -> None:
    has_others_end = False

    async def other() -> None:
        nonlocal has_others_end
        try:
            await asyncio.Event().wait()
        finally:
            has_others_end = True

    @asynccontextmanager
    async def work(_: ServiceSettings) -> AsyncIterator[Sequence[Work]]:
        yield [job, other]

    service = Service("nobody", ServiceSettings, Path(), lambda _: FastAPI(), work)
    settings = ServiceSettings.model_construct(broker_url=SecretStr(""))
    with pytest.raises(ExceptionGroup) as ended:
        async with asyncio.timeout(5):
            await service._work(settings, Health({}))
    assert [type(error) for error in ended.value.exceptions] == [RuntimeError]
    assert has_others_end


@pytest.mark.parametrize("which", ["port", "operations"])
async def test_a_port_that_is_taken_is_no_success(silent: Things, which: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {which: taken.getsockname()[1]}
        async with program(silent, "serve", **ports) as one, asyncio.timeout(15):
            assert await one.process.wait() not in {0, None}


async def test_migrations_started_by_several_at_once_run_once(
    postgres: Postgres, things: Things
) -> None:
    urls = await postgres.fresh_database("things", migrated=False)
    async with (
        open_things(urls, things.broker_url, postgres.url) as empty,
        AsyncExitStack() as stack,
    ):
        many = [await stack.enter_async_context(program(empty, "migrate")) for _ in range(3)]
        async with asyncio.timeout(30):
            assert [await one.process.wait() for one in many] == [0, 0, 0]
        assert [row[0] for row in await empty.ask("SELECT * FROM alembic_version")] == ["0001"]
        # Whoever goes back to an older version runs its migrations against what the newer one has made.
        await empty.ask("UPDATE alembic_version SET version_num = '0099' RETURNING 1")
        async with program(empty, "migrate") as older, asyncio.timeout(30):
            assert await older.process.wait() == 0
        assert [row[0] for row in await empty.ask("SELECT * FROM alembic_version")] == ["0099"]
        await empty.ask("UPDATE alembic_version SET version_num = '0001' RETURNING 1")
    await asyncio.to_thread(migrations.check, MIGRATIONS, urls.owner)
    await postgres.drop(urls)
