"""`migrate` waits for a database and a broker that start later than it, and says for whom."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from bailiwick_kit.bus import topology
from bailiwick_kit.process import migrating
from bailiwick_kit.process.migrating import CannotMigrateError, migrate
from bailiwick_kit.settings import ServiceSettings
from bailiwick_launcher.data_folder import claimed_port
from bailiwick_testkit.services.toy import MIGRATIONS, Things
from bailiwick_testkit.waiting import until


@asynccontextmanager
async def reachable(url: str, port: int) -> AsyncIterator[None]:
    """Let a server be found at another port, too."""
    parts = urlsplit(url)

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer), return_exceptions=True)

    async with await asyncio.start_server(connected, "127.0.0.1", port):
        yield


def at(url: str, port: int) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}").geturl()


def migration_of(things: Things, which: str, port: int) -> "asyncio.Task[None]":
    """Begin to migrate, where one server is to be found at that port."""
    urls = {"database": things.urls.owner, "broker": things.broker_url}
    urls[which] = at(urls[which], port)
    settings = ServiceSettings.model_construct(
        database_owner_url=SecretStr(urls["database"]),
        database_api_url=SecretStr(things.urls.api),
        database_worker_url=SecretStr(things.urls.worker),
        broker_url=SecretStr(urls["broker"]),
    )

    async def declare(url: str) -> None:
        await topology.declare(url, "waited", {"waited.for": ["#"]})

    return asyncio.create_task(asyncio.to_thread(migrate, MIGRATIONS, settings, declare))


@pytest.mark.parametrize("which", ["database", "broker"])
async def test_a_server_that_starts_later_is_waited_for(things: Things, which: str) -> None:
    port = claimed_port()
    server = {"database": things.urls.owner, "broker": things.broker_url}[which]
    with capture_logs() as lines:
        migrating_ = migration_of(things, which, port)

        async def says_so() -> bool:
            return migrating_.done() or any(one["event"] == "migrate.waits" for one in lines)

        await until(says_so)
        assert not migrating_.done()
        assert f"the {which}" in [one.get("whom") for one in lines]
        async with reachable(server, port), asyncio.timeout(30):
            await migrating_


@pytest.mark.parametrize("which", ["database", "broker"])
async def test_a_server_that_never_starts_is_named(
    things: Things, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    monkeypatch.setattr(migrating, "PATIENCE", 0.1)
    with pytest.raises(CannotMigrateError, match=f"The {which} did not answer .* migrate again"):
        await migration_of(things, which, claimed_port())


async def test_a_wrong_password_is_not_waited_for(things: Things) -> None:
    things.broker_url = things.broker_url.replace("@", "x@")
    port = urlsplit(things.broker_url).port
    assert port is not None
    async with asyncio.timeout(10):
        with pytest.raises(ConnectionError):
            await migration_of(things, "broker", port)
