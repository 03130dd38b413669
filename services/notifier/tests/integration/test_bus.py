"""All of it at once: events through the real broker, the worker as it runs, letters and a mail server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from bailiwick_kit.clock import SystemClock
from bailiwick_kit.process.service import declare_topology
from bailiwick_notifier.main import work
from bailiwick_notifier.settings import Settings
from bailiwick_testkit.fakes.smtp_server import MailServer, mail_server
from bailiwick_testkit.fakes.subscriber import publish
from bailiwick_testkit.servers.real import Opa, Rabbitmq
from bailiwick_testkit.services.application import served, settings_for
from bailiwick_testkit.services.notifier import SENDER, NotifierService
from bailiwick_testkit.waiting import running, until


@pytest.fixture
async def broker(rabbitmq: Rabbitmq) -> AsyncIterator[str]:
    """A virtual host with the whole topology."""
    url = await asyncio.to_thread(rabbitmq.vhost)
    await declare_topology(url)
    yield url
    await asyncio.to_thread(rabbitmq.drop_vhost, url)


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@asynccontextmanager
async def working(
    room: NotifierService, broker: str, opa: Opa, server: MailServer
) -> AsyncIterator[None]:
    """Run the worker as the service does, before the change feeds of the made-up siblings."""
    feeds = (room.shop.identity.application(), room.customers.application())
    async with served(*feeds) as (identity_url, customers_url):
        settings = settings_for(
            Settings,
            room.shop.urls,
            broker_url=broker,
            policy_url=opa.url,
            identity_url=identity_url,
            customers_url=customers_url,
            smtp_url=SecretStr(server.url),
            mail_from=SENDER,
            public_url="https://app.example/",
        )
        async with work(settings) as jobs, running(*jobs):
            yield


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_order_told_over_the_bus_becomes_one_mail_to_its_main(
    room: NotifierService, broker: str, opa: Opa, server: MailServer, workers: int
) -> None:
    room.clock.instant = SystemClock().now()
    ana = await room.person("Ana Núñez", permissions=["seller"], email="ana@people.example")
    mia = await room.person("Mia", "brand_manager")
    customer = room.customers.customer("Librería\r\nBcc: everybody@people.example")
    room.customers.assign(
        customer, ana.member_id
    )  # its event comes late: the change feed is enough
    orders = [
        room.order(customer, mia),
        room.order(customer, mia),
        room.order(customer, mia, imported=True),
        room.order(customer, ana),
    ]
    async with working(room, broker, opa, server):
        told_twice = [each for each in (*orders, *room.customers.told) for _ in range(2)]
        if workers == 1:
            await publish(broker, *told_twice)
            await two_mails(server)
        else:
            async with working(room, broker, opa, server):
                await publish(broker, *told_twice)
                await two_mails(server)

        async def settled() -> bool:
            return [row["state"] for row in await room.deliveries()] == ["sent"] * 2

        await until(settled)
    assert len(server.accepted) == 2
    for accepted in server.accepted:
        assert accepted.recipients == ("ana@people.example",)
        assert accepted.sender == "orders@mail.example"
        message = accepted.message
        assert message["To"] == "Ana Núñez <ana@people.example>"
        assert message["Bcc"] is None
        assert re.fullmatch(r"<[0-9a-f-]{36}@mail\.example>", message["Message-ID"])
        assert "Librería" in message["Subject"]
        body = message.get_body(("plain",))
        assert body is not None
        assert "https://app.example/" in body.get_content()
    assert len({accepted.message["Message-ID"] for accepted in server.accepted}) == 2


async def two_mails(server: MailServer) -> None:
    """Return when two mails have been taken."""

    async def taken() -> bool:
        return len(server.accepted) >= 2

    await until(taken, within=40)


async def test_a_server_that_refuses_the_recipient_fails_the_delivery_with_its_code_alone(
    room: NotifierService, broker: str, opa: Opa, server: MailServer
) -> None:
    room.clock.instant = SystemClock().now()
    server.faults["recipient"] = "550 5.1.1 <ana@people.example> is nobody here"
    ana = await room.person("Ana", permissions=["seller"])
    mia = await room.person("Mia", "brand_manager")
    customer = await room.customer(ana)
    async with working(room, broker, opa, server):
        await publish(broker, room.order(customer, mia))

        async def failed() -> bool:
            return [row["state"] for row in await room.deliveries()] == ["failed"]

        await until(failed, within=40)
    [row] = await room.deliveries()
    assert row["last_problem"] == "refused-550"
    assert server.accepted == []
