"""The example subscriber counts every placed order once: repeated, killed, cut off, started again."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from bailiwick_contracts.envelope import EXCHANGE
from bailiwick_contracts.orders import OrderCancelled, OrderEvent, OrderPlaced
from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.bus.messages import to_message
from bailiwick_kit.process.service import declare_topology
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_notifier.settings import Settings
from bailiwick_notifier.subscribing import subscriber_commands
from bailiwick_testkit.checkout import CHECKOUT
from bailiwick_testkit.servers.real import Rabbitmq
from bailiwick_testkit.services.application import settings_for
from bailiwick_testkit.waiting import until

EXAMPLE = CHECKOUT / "contracts/examples/tally.py"
SAMPLE = CHECKOUT / "contracts/samples" / OrderPlaced.type / "typical.json"
ORG = uuid4()


@dataclass
class Subscription:
    """What the command told, and the file in which the example keeps its tally."""

    broker_url: str
    user: str
    address: str
    tally: Path

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run the example as anybody would, and kill it at the end."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, EXAMPLE, self.address, self.user, self.tally),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield process
            assert process.returncode is None, "it ended by itself"
        finally:
            process.kill()
            await process.wait()

    async def publish(self, *events: tuple[UUID, OrderEvent]) -> None:
        """Tell events as the relay of orders does."""
        async with open_channel(self.broker_url, "test") as channel:
            exchange = await channel.get_exchange(EXCHANGE)
            for event_id, event in events:
                message = to_message(
                    event_id=event_id,
                    event_type=event.type,
                    source="/orders",
                    subject=event.subject,
                    time=datetime.now(UTC),
                    body=event.model_dump_json().encode(),
                    trace_parent=None,
                )
                await exchange.publish(message, event.routing_key, mandatory=False)

    async def tallied(self, *expected: tuple[str, int, str]) -> None:
        """Return when the tally says so, and nothing is left in the queue."""

        async def is_so() -> bool:
            return self.rows() == list(expected) and await self.waiting() == 0

        await until(is_so, f"{expected}")

    def rows(self) -> list[tuple[str, int, str]]:
        """Return what the tally says."""
        with closing(sqlite3.connect(self.tally)) as database:
            try:
                return database.execute("SELECT * FROM tally ORDER BY currency").fetchall()
            except sqlite3.OperationalError:  # it has no tables yet
                return []

    async def waiting(self) -> int:
        """Return how many events nobody has taken yet."""
        async with open_channel(self.broker_url, "test") as channel:
            queue = await channel.declare_queue(self.user, passive=True)
            return queue.declaration_result.message_count or 0


@pytest.fixture
async def subscription(rabbitmq: Rabbitmq, tmp_path: Path) -> AsyncIterator[Subscription]:
    """Let the example in by the command that lets in anybody."""
    broker_url = await asyncio.to_thread(rabbitmq.vhost)
    await declare_topology(broker_url)
    settings = settings_for(
        Settings,
        DatabaseUrls(*["postgresql+asyncpg://nobody@127.0.0.1:9/none"] * 4),
        broker_url=broker_url,
        broker_management_url=SecretStr(rabbitmq.server.management),
        smtp_url=SecretStr("smtp://127.0.0.1:9"),
        mail_from="Bailiwick <orders@example.com>",
    )
    commands, named = subscriber_commands(lambda: settings), ["--org", str(ORG), "--name", "tally"]

    async def operator(command: str) -> dict[str, str]:
        result = await asyncio.to_thread(CliRunner().invoke, commands, [command, *named])
        assert result.exit_code == 0, result.output
        return dict(line.split(maxsplit=1) for line in result.stdout.splitlines())

    told = await operator("add")
    yield Subscription(broker_url, told["user"], told["address"], tmp_path / "tally.db")
    await operator("remove")
    await asyncio.to_thread(rabbitmq.drop_vhost, broker_url)


def an_event(
    currency: str = "EUR", net: str = "10.10", kind: type[OrderEvent] = OrderPlaced
) -> tuple[UUID, OrderEvent]:
    sample = json.loads(SAMPLE.read_text("utf-8"))
    changes = {"org_id": ORG, "order_id": uuid4(), "currency": currency, "net": net}
    return uuid4(), kind.model_validate({**sample, **changes})


async def test_the_example_counts_each_placed_order_once_whatever_happens_to_it(
    subscription: Subscription, rabbitmq: Rabbitmq
) -> None:
    first, second = an_event(), an_event()
    async with subscription.listening():
        await subscription.publish(first, second, first, an_event("USD", "0.3000"))
        await subscription.publish(an_event(kind=OrderCancelled))
        await subscription.tallied(("EUR", 2, "20.20"), ("USD", 1, "0.3000"))
    # It was killed. What came meanwhile waits; what it has counted may come again.
    await subscription.publish(second, an_event(), *(an_event("USD", "0.1") for _ in range(100)))
    async with subscription.listening():
        await subscription.tallied(("EUR", 3, "30.30"), ("USD", 101, "10.3000"))
        path = f"/connections/username/{subscription.user}"
        await asyncio.to_thread(rabbitmq.ask, "DELETE", path)
        await subscription.publish(an_event(), first)
        await subscription.tallied(("EUR", 4, "40.40"), ("USD", 101, "10.3000"))
