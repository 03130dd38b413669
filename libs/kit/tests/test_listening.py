"""Those who wake others over PostgreSQL, and those who listen there, go on after whatever breaks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from typing_extensions import override

from bailiwick_kit.bus.outbox_notify import CHANNEL, Wake, plain_dsn
from bailiwick_kit.database.engine import Database
from bailiwick_kit.replication.change_feed_client import ChangeFeedClient
from bailiwick_kit.replication.replica import Replica
from bailiwick_testkit.services.toy import Things, replica_positions
from bailiwick_testkit.waiting import running, until


class Empty(ChangeFeedClient):
    """A change feed behind which there is nothing, that knows how often it was looked at."""

    looks = 0

    @override
    async def heads(self) -> list[tuple[UUID, int]]:
        self.looks += 1
        return []


@asynccontextmanager
async def swallowing(url: str, words: bytes) -> AsyncIterator[str]:
    """Give an address of the same database on which the first to say these words is never answered."""
    real, swallowed = urlsplit(url), list[bytes]()

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_cut = False
        while said := await reader.read(65536):
            if words in said and not swallowed:
                swallowed.append(said)
                is_cut = True
            if not is_cut:
                writer.write(said)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(real.hostname, real.port)
        await asyncio.gather(hand_on(reader, forth), hand_on(back, writer), return_exceptions=True)
        forth.close()
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield real._replace(netloc=real.netloc.replace(f":{real.port}", f":{port}")).geturl()
    assert swallowed, f"nobody said {words!r}"


async def test_a_replica_whose_connection_is_cut_without_a_word_tries_another(
    silent: Things,
) -> None:
    feed = Empty("", SecretStr(""))
    async with swallowing(silent.urls.worker, b"LISTEN") as url, Database(url) as database:
        replica = Replica("things", database, replica_positions, {}, feed)

        async def has_looked() -> bool:
            return feed.looks > 0

        with capture_logs():
            async with running(replica.keep_up):
                await until(has_looked, "it listens, and looks")


async def test_who_wakes_the_relay_goes_on_whatever_breaks(
    silent: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, heard = asyncpg.connect, asyncio.Event()
    failures = [RuntimeError("what no driver should raise")]

    async def flaky(*where: Any, **how: Any) -> Any:
        if failures:
            raise failures.pop()
        return await connect(*where, **how)

    listener = await connect(plain_dsn(silent.urls.worker))
    await listener.add_listener(CHANNEL, lambda *_: heard.set())
    monkeypatch.setattr(asyncpg, "connect", flaky)
    wake = Wake(silent.urls.api)
    with capture_logs() as logs:
        async with running(wake.run):
            wake.call()
            async with asyncio.timeout(10):
                await heard.wait()
    await listener.close()
    assert [line["event"] for line in logs] == ["wake.failed"]
