"""P1, P3 and P5: what policy costs a list and a record, whoever asks."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
from measure import Ask, Compared, compare

from bailiwick_launcher.data_folder import claimed_port
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_testkit.fakes.people import DOOR_SECRET, ISSUER, Person

KINDS = {
    "list of 50": "/v1/orders?limit=50",
    "filtered list": "/v1/orders?state=placed&limit=50",
    "count": "/v1/orders/count",
}


@contextmanager
def served_at(
    app: str, urls: DatabaseUrls, policy_url: str, identity_url: str, **more: str
) -> Iterator[str]:
    """Serve an application of this folder in a process of its own, and give its address."""
    port = claimed_port()
    environment = {
        **os.environ,
        "BAILIWICK_DATABASE_OWNER_URL": urls.owner,
        "BAILIWICK_DATABASE_API_URL": urls.api,
        "BAILIWICK_DATABASE_WORKER_URL": urls.worker,
        "BAILIWICK_BROKER_URL": "amqp://nobody@127.0.0.1:9/",
        "BAILIWICK_POLICY_URL": policy_url,
        "BAILIWICK_POLICY_DEADLINE": "2",
        "BAILIWICK_LISTEN": f"127.0.0.1:{port}",
        "BAILIWICK_IDENTITY_URL": identity_url,
        "BAILIWICK_CUSTOMERS_URL": identity_url,
        "BAILIWICK_DOOR_SECRET": DOOR_SECRET,
        "BAILIWICK_CURSOR_SECRET": "a-cursor-secret-for-benches",
        "BAILIWICK_ISSUER": ISSUER,
        **more,
    }
    here = str(Path(__file__).parent)
    command = [sys.executable, "-m", "uvicorn", app, "--factory", "--app-dir", here]
    command += ["--port", str(port), "--log-level", "warning", "--no-access-log"]
    # Its access log would bury the table.
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


class Client:
    """Asks as one person, and takes nothing but 200."""

    def __init__(self, session: aiohttp.ClientSession, person: Person) -> None:
        self._session = session
        self._headers = person.headers

    async def body(self, url: str) -> dict[str, Any]:
        """Return an answer's body."""
        async with self._session.get(url, headers=self._headers) as answer:
            if answer.status != 200:
                raise RuntimeError(f"{url}: {answer.status} {await answer.text()}")
            document: dict[str, Any] = await answer.json()
            return document

    def asks(self, url: str) -> Ask:
        """Return what asks for the address and reads the answer whole."""

        async def ask() -> None:
            async with self._session.get(url, headers=self._headers) as answer:
                await answer.read()
                if answer.status != 200:
                    raise RuntimeError(f"{url}: {answer.status}")

        return ask


async def measured(
    asked: str, unasked: str, unwatched: str, people: dict[str, Person], order_id: UUID
) -> list[Compared]:
    """Measure everything against the running servers."""
    connector = aiohttp.TCPConnector(limit=32)
    async with aiohttp.ClientSession(connector=connector) as session:
        small, large = Client(session, people["small"]), Client(session, people["large"])
        await until_ready(session, asked)
        await until_ready(session, unasked)
        await until_ready(session, unwatched)
        page = f"{asked}/v1/orders?limit=50"
        cursor = None
        for _ in range(40):
            more = f"&cursor={cursor}" if cursor else ""
            cursor = (await large.body(f"{asked}/v1/orders?limit=200{more}"))["next_cursor"]
        deep = f"{asked}/v1/orders?limit=50&cursor={cursor}"
        one = f"/v1/orders/{order_id}"
        by_hand = f"{asked}/bench/orders"
        return [
            await compare("control: the same twice", large.asks(page), large.asks(page)),
            await compare(
                "P1 list of 50: policy asked / by hand", large.asks(page), large.asks(by_hand)
            ),
            await compare(
                "P3 portfolio of 10,000 / of 100",
                large.asks(page),
                small.asks(page),
                throughput=False,
            ),
            *[
                await compare(
                    f"{kind}: looking for what a large act takes / not",
                    large.asks(asked + path),
                    large.asks(unwatched + path),
                    throughput=False,
                )
                for kind, path in KINDS.items()
            ],
            await compare(
                "P3 deep page / first", large.asks(deep), large.asks(page), throughput=False
            ),
            await compare(
                "P5 one order: policy asked / not",
                large.asks(asked + one),
                large.asks(unasked + one),
            ),
        ]


async def until_ready(session: aiohttp.ClientSession, address: str) -> None:
    """Return when the server answers."""
    deadline = time.monotonic() + 30
    while True:
        try:
            async with session.get(f"{address}/v1/me"):
                return
        except aiohttp.ClientError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
