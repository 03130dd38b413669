"""P11: placing orders, many at a time, while the relay works, beside while it does not."""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
from dataclasses import dataclass
from uuid import UUID

import aiohttp
import asyncpg
from bus import drained, relay_at
from lists import until_ready
from measure import Compared, burst, compare_rates

from bailiwick_kit.bus.outbox_notify import plain_dsn
from bailiwick_kit.process.service import declare_topology
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.servers.real import Rabbitmq
from bailiwick_testkit.services.orders import an_order

CUSTOMERS = 1_000
"""Orders are placed for so many customers in turn, so that none waits for another's."""


@dataclass
class Placing:
    """A representative who places orders, and the relay behind them."""

    session: aiohttp.ClientSession
    address: str
    person: Person
    customers: itertools.cycle[UUID]
    relay: subprocess.Popen[bytes]
    admin: asyncpg.Connection

    async def place(self) -> None:
        """Place one order."""
        body = an_order(next(self.customers), place=True)
        async with self.session.post(
            f"{self.address}/v1/orders", json=body, headers=self.person.headers
        ) as answer:
            text = await answer.text()
            if answer.status != 201:
                raise RuntimeError(f"{answer.status}: {text}")

    async def awake(self) -> float:
        """Place orders while the relay works; begin and end with an empty outbox."""
        placed = await burst(self.place)
        await drained(self.admin)
        return placed

    async def asleep(self) -> float:
        """Place orders while the relay is frozen; let it catch up afterwards."""
        self.relay.send_signal(signal.SIGSTOP)
        try:
            placed = await burst(self.place)
        finally:
            self.relay.send_signal(signal.SIGCONT)
        await drained(self.admin)
        return placed


async def measured(
    rabbitmq: Rabbitmq, address: str, urls: DatabaseUrls, admin_dsn: str, person: Person
) -> list[Compared]:
    """Measure it, with a control of its own: both while the relay is frozen."""
    broker_url = await asyncio.to_thread(rabbitmq.vhost)
    await declare_topology(broker_url)
    admin = await asyncpg.connect(plain_dsn(admin_dsn))
    found = await admin.fetch(
        "SELECT customer_id FROM assignments WHERE member_id = $1 LIMIT $2",
        *(person.member_id, CUSTOMERS),
    )
    customers = itertools.cycle([row["customer_id"] for row in found])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32)) as session:
        await until_ready(session, address)
        with relay_at(urls, broker_url) as relay:
            placing = Placing(session, address, person, customers, relay, admin)
            await placing.awake()
            results = [
                await compare_rates(
                    "control: placing, relay asleep twice", placing.asleep, placing.asleep
                ),
                await compare_rates(
                    "P11 placing: relay awake / asleep", placing.awake, placing.asleep
                ),
            ]
    await admin.close()
    return results
