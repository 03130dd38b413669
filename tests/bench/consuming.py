"""What each consumer gets done of one organization's bulk, in thousands of events a second."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
from bus import open_bus
from measure import Compared
from pydantic import SecretStr

from bailiwick_access.replica import IdentityReplica
from bailiwick_access.replica_consumer import keeping
from bailiwick_contracts.customers import AssignmentChanged
from bailiwick_contracts.envelope import EXCHANGE, Event
from bailiwick_contracts.identity import MemberChanged
from bailiwick_contracts.orders import OrderPlaced
from bailiwick_customers.store import tables as customers_tables
from bailiwick_kit.bus import topology
from bailiwick_kit.bus.consumer import Consumer
from bailiwick_kit.bus.messages import to_message
from bailiwick_kit.clock import SystemClock
from bailiwick_kit.database.engine import Database
from bailiwick_kit.replication.change_feed_client import ChangeFeedClient
from bailiwick_kit.replication.replica import Replica
from bailiwick_launcher.data_folder import CHECKOUT
from bailiwick_notifier.events.orders import from_orders
from bailiwick_notifier.store import tables as notifier_tables
from bailiwick_notifier.store.notices import KeepChanged, TakeNotice
from bailiwick_orders.store import tables as orders_tables
from bailiwick_orders.store.replica import CustomersReplica
from bailiwick_reports.events.orders import from_orders as counted
from bailiwick_reports.store import cube
from bailiwick_reports.store import tables as reports_tables
from bailiwick_testkit.servers.real import Postgres, Rabbitmq
from bailiwick_testkit.waiting import until

EVENTS = 5_000
"""How many a turn has waiting."""
WANTED = 1_000
"""Events a second that are expected of each consumer on two cores."""


@dataclass(frozen=True)
class Case:
    """A consumer, and what waits for it: of one organization, the first ones after nothing."""

    service: str
    source: str
    event: type[Event]
    sample: str
    names: tuple[str, ...]
    tables: Any
    lines: int = 0
    """Of each order; 0: as in the sample."""

    @property
    def name(self) -> str:
        """What the figure is called."""
        of = f" of {self.lines} lines" if self.lines else ""
        return f"P17 {self.service}.{self.source} consumed / {WANTED:,} events{of} a second"

    def events(self) -> Iterator[Event]:
        """Make them, each about an entity of its own."""
        path = CHECKOUT / "contracts/samples" / self.event.type / self.sample
        sample, org_id = json.loads(path.read_text("utf-8")), str(uuid4())
        for number in range(1, EVENTS + 1):
            changed = {name: str(uuid4()) for name in self.names}
            document = {**sample, "org_id": org_id, "seq": number, **changed}
            if self.lines:
                document["lines"] = sample["lines"][:1] * self.lines
            if "assignments" in document:
                held = {"assignment_id": str(uuid4()), "customer_id": str(uuid4())}
                document["assignments"] = [{**sample["assignments"][0], **held}]
            yield self.event.model_validate(document)

    def consumer(self, database: Database, broker_url: str) -> Consumer:
        """Return it as its worker has it. Nothing is missing before any event: no change feed is asked."""
        tables = self.tables
        if self.service == "reports":
            return counted(cube.count, database, broker_url, tables.inbox)
        if self.source == "orders":
            return from_orders(
                database,
                broker_url,
                tables.inbox,
                take=TakeNotice(SystemClock()),
                keep=KeepChanged(SystemClock()),
            )
        appliers = (
            CustomersReplica().appliers()
            if self.source == "customers"
            else IdentityReplica(tables.organizations, tables.members).appliers()
        )
        nowhere = ChangeFeedClient("http://127.0.0.1:9", SecretStr("nobody's"))
        replica = Replica(self.source, database, tables.replica_positions, appliers, nowhere)
        return keeping(self.service, replica, broker_url, tables.inbox)


_OF_AN_ORDER = ("order_id", "customer_id")

CASES = (
    Case(
        "orders",
        "customers",
        AssignmentChanged,
        "first-main.json",
        ("changeset_id",),
        orders_tables,
    ),
    Case("orders", "identity", MemberChanged, "brand-manager.json", ("member_id",), orders_tables),
    Case(
        "customers",
        "identity",
        MemberChanged,
        "brand-manager.json",
        ("member_id",),
        customers_tables,
    ),
    Case("notifier", "orders", OrderPlaced, "typical.json", ("order_id",), notifier_tables),
    *(
        Case("reports", "orders", OrderPlaced, "typical.json", _OF_AN_ORDER, reports_tables, lines)
        for lines in (0, 20)
    ),
)


async def measured(
    postgres: Postgres, rabbitmq: Rabbitmq, cases: Sequence[Case] = CASES
) -> list[Compared]:
    """Measure each."""
    return [await _measured(postgres, rabbitmq, case) for case in cases]


async def _measured(postgres: Postgres, rabbitmq: Rabbitmq, case: Case) -> Compared:
    urls = await postgres.fresh_database(case.service)
    admin = await asyncpg.connect(postgres.url.rsplit("/", 1)[0] + f"/{urls.name}")
    async with open_bus(postgres, rabbitmq) as bus, Database(urls.worker) as database:
        consumer = case.consumer(database, bus.broker_url)
        await topology.declare(bus.broker_url, EXCHANGE, {consumer.queue: []})
        now = datetime.now(UTC)
        messages = [
            to_message(
                event_id=uuid4(),
                event_type=event.type,
                source="/bench",
                subject=event.subject,
                time=now,
                body=event.model_dump_json().encode(),
                trace_parent=None,
            )
            for event in case.events()
        ]
        exchange = bus.channel.default_exchange
        for first in range(0, EVENTS, 100):
            some = messages[first : first + 100]
            await asyncio.gather(*(exchange.publish(one, consumer.queue) for one in some))

        async def are_done() -> bool:
            done = "SELECT count(*) FROM inbox WHERE done_at IS NOT NULL"
            return int(await admin.fetchval(done)) == EVENTS

        began = time.perf_counter()
        running = asyncio.create_task(consumer.run())
        await until(are_done, "all consumed", within=120)
        rate = EVENTS / (time.perf_counter() - began)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    await admin.close()
    return Compared(case.name, throughput=rate / WANTED)
