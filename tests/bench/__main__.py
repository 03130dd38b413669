"""The figures P1, P3 and P5, side by side in one run on this machine: `./bailiwick bench`.

A control (the same request twice) that differs by more than 15 % voids the run.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import aiohttp
from measure import Ask, Compared, compare
from rich.console import Console
from rich.table import Table
from world import ORDERS, fill

from bailiwick_access.replica import IdentityReplica
from bailiwick_contracts.identity import MemberChanged, OrganizationChanged
from bailiwick_kit.database import Database
from bailiwick_local.databases import DatabaseUrls
from bailiwick_orders.store import tables
from bailiwick_testkit.apps import served
from bailiwick_testkit.people import DOOR_SECRET, ISSUER, MadeUpIdentity, Person
from bailiwick_testkit.servers import Servers, folder_of_runs

VOID_BEYOND = 0.15
console = Console()


@dataclass(frozen=True)
class Goal:
    """What a figure should be at most (p50, p99) and at least (throughput)."""

    p50: float | None = None
    throughput: float | None = None


GOALS = {
    "P1 list of 50: policy asked / by hand": Goal(1.6, 0.7),
    "P3 portfolio of 10,000 / of 100": Goal(1.25),
    "P3 deep page / first": Goal(2.0),
    "P5 one order: policy asked / not": Goal(1.35, 0.75),
}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def orders_at(urls: DatabaseUrls, policy_url: str, identity_url: str, **more: str) -> Iterator[str]:
    """Serve orders in a process of its own, and give its address."""
    port = free_port()
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
    command = [sys.executable, "-m", "uvicorn", "app:create", "--factory", "--app-dir", here]
    command += ["--port", str(port), "--log-level", "warning", "--no-access-log"]
    process = subprocess.Popen(command, env=environment)  # noqa: S603 - our own server
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

    async def body(self, url: str) -> dict[str, object]:
        """Return an answer's body."""
        async with self._session.get(url, headers=self._headers) as answer:
            if answer.status != 200:
                raise RuntimeError(f"{url}: {answer.status} {await answer.text()}")
            document: dict[str, object] = await answer.json()
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
    asked: str, unasked: str, people: dict[str, Person], order_id: UUID
) -> list[Compared]:
    """Measure everything against the running servers."""
    connector = aiohttp.TCPConnector(limit=32)
    async with aiohttp.ClientSession(connector=connector) as session:
        small, large = Client(session, people["small"]), Client(session, people["large"])
        await until_ready(session, asked)
        await until_ready(session, unasked)
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
            async with session.get(f"{address}/live"):
                return
        except aiohttp.ClientError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


async def run() -> int:
    """Run the bench and print its table; 1 where the control voids it."""
    servers = Servers(folder_of_runs() / f"{os.getpid()}-bench", durable=True)
    identity = MadeUpIdentity()
    org_id = identity.organization()
    people = {name: identity.person(org_id, "sales_representative") for name in ("small", "large")}
    try:
        console.print(f"Preparing {ORDERS:,} orders …")
        postgres, opa = servers.postgres(), servers.opa()
        urls = await postgres.fresh_database("orders")
        await tell(identity, urls)
        admin = postgres.url.rsplit("/", 1)[0] + f"/{urls.name}"
        world = await fill(admin, org_id, {name: one.member_id for name, one in people.items()})
        async with served(identity.application()) as (identity_url,):
            with (
                orders_at(urls, opa.url, identity_url) as asked,
                orders_at(urls, opa.url, identity_url, BENCH_UNASKED="1") as unasked,
            ):
                results = await measured(asked, unasked, people, world.order_id)
    finally:
        servers.end()
    return report(results)


async def tell(identity: MadeUpIdentity, urls: DatabaseUrls) -> None:
    """Write the made-up members into the replica."""
    appliers = IdentityReplica(tables.organizations, tables.members).appliers()
    database = Database(urls.worker, pool=1)
    for event in identity.events.values():
        if isinstance(event, OrganizationChanged | MemberChanged):
            async with database.writing(event.org_id) as connection:
                await appliers[type(event)](connection, event)
    await database.close()


def report(results: list[Compared]) -> int:
    """Print the table, and say whether the run counts."""
    table = Table("figure", "p50", "p99", "throughput", "goal", "A ms", "B ms")
    for one in results:
        goal = GOALS.get(one.name, Goal())
        wanted = " ".join(
            [f"p50 ≤ {goal.p50}"] * (goal.p50 is not None)
            + [f"thr ≥ {goal.throughput}"] * (goal.throughput is not None)
        )
        table.add_row(
            one.name,
            f"{one.p50:.2f}",
            f"{one.p99:.2f}",
            f"{one.throughput:.2f}",
            wanted,
            f"{one.a_ms:.2f}",
            f"{one.b_ms:.2f}",
        )
    console.print(table)
    control = results[0]
    if abs(control.p50 - 1) > VOID_BEYOND or abs(control.throughput - 1) > VOID_BEYOND:
        console.print(
            "The control differs by more than 15 %: this run counts for nothing. Run it again, alone."
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(run()))
