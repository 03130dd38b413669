"""The worker killed at each point of sending: the mail goes out, twice only if it had gone out (F18, F20)."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import pytest

from bailiwick_kit import crash_points
from bailiwick_kit.clock import SystemClock
from bailiwick_launcher.data_folder import claimed_port
from bailiwick_testkit.fakes.people import DOOR_SECRET, ISSUER
from bailiwick_testkit.fakes.smtp_server import MailServer, mail_server
from bailiwick_testkit.servers.real import Opa
from bailiwick_testkit.services.notifier import SENDER, NotifierService

KILLED = -9
ENDS = {
    "dispatch.before-begin": (0, 1, 1),
    "dispatch.before-send": (0, 1, 2),
    "dispatch.after-send": (1, 1, 2),
    "dispatch.after-finish": (1, 0, 1),
}
"""Point → mails sent by the worker that died there, mails sent by the next one, attempts in the end."""


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


async def killed_at(point: str, room: NotifierService, opa: Opa, server: MailServer) -> int:
    """Run the worker, before no broker and no siblings, until it dies; return how it ended."""
    nowhere, urls = "http://127.0.0.1:9", room.shop.urls
    settings = {
        "DATABASE_OWNER_URL": urls.owner,
        "DATABASE_API_URL": urls.api,
        "DATABASE_WORKER_URL": urls.worker,
        "BROKER_URL": "amqp://nobody@127.0.0.1:9/",
        "POLICY_URL": opa.url,
        "POLICY_DEADLINE": "5",
        "LISTEN": "127.0.0.1:0",
        "OPERATIONS_LISTEN": f"127.0.0.1:{claimed_port()}",
        "IDENTITY_URL": nowhere,
        "CUSTOMERS_URL": nowhere,
        "DOOR_SECRET": DOOR_SECRET,
        "CURSOR_SECRET": "a-cursor-secret-for-tests",
        "ISSUER": ISSUER,
        "SMTP_URL": server.url,
        "MAIL_FROM": SENDER,
        "CRASH_AT": point,
    }
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bailiwick_notifier", "worker"),
        env={**os.environ, **{f"BAILIWICK_{name}": value for name, value in settings.items()}},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(40):
            return await worker.wait()
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()


@pytest.mark.parametrize(
    "point", sorted(point for point in crash_points.POINTS if point.startswith("dispatch."))
)
async def test_a_worker_killed_anywhere_leaves_a_mail_that_the_next_one_sends(
    room: NotifierService, opa: Opa, server: MailServer, point: str
) -> None:
    room.clock.instant = SystemClock().now()
    ana = await room.person("Ana", permissions=["seller"])
    mia = await room.person("Mia", "brand_manager")
    order = room.order(await room.customer(ana), mia)
    await room.take(order)
    await room.fixing().round()

    by_the_dead, by_the_next, attempts = ENDS[point]
    assert await killed_at(point, room, opa, server) == KILLED
    assert len(server.accepted) == by_the_dead
    room.clock.instant = SystemClock().now()
    await room.work()
    assert room.server.sent == [], "while the claim of the dead holds, the mail is nobody else's"

    await room.later(minutes=2)

    [row] = await room.deliveries(order)
    assert (row["state"], row["attempts"]) == ("sent", attempts)
    assert len(room.server.sent) == by_the_next
    sent = [(mail.message_id, mail.recipient) for mail in room.server.sent] + [
        (one.message["Message-ID"], *one.recipients) for one in server.accepted
    ]
    assert set(sent) == {(f"<{row['delivery_id']}@mail.example>", "ana@people.example")}
