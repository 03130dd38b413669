"""The accounts of a broker that was without them, or whose accounts somebody has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from bailiwick_kit.process.service import declare_topology
from bailiwick_launcher import broker
from bailiwick_testkit.servers.real import Rabbitmq


@pytest.fixture
async def vhost(rabbitmq: Rabbitmq) -> AsyncIterator[str]:
    url = await asyncio.to_thread(rabbitmq.vhost)
    yield url
    await asyncio.to_thread(rabbitmq.drop_vhost, url)


async def test_accounts_are_made_once_and_given_back_what_they_lost(
    rabbitmq: Rabbitmq, vhost: str
) -> None:
    host = urlsplit(vhost).path.removeprefix("/")

    async def allowed() -> set[str]:
        found = await asyncio.to_thread(rabbitmq.ask, "GET", f"/vhosts/{host}/permissions")
        return {one["user"] for one in found}

    assert not await allowed() & set(broker.ACCOUNTS)
    for _ in range(2):
        await broker.create_accounts(vhost, rabbitmq.server.management)
        assert await allowed() >= set(broker.ACCOUNTS)
    await asyncio.to_thread(rabbitmq.ask, "DELETE", f"/permissions/{host}/reports")
    assert "reports" not in await allowed()
    await broker.create_accounts(vhost, rabbitmq.server.management)
    assert "reports" in await allowed()
    await declare_topology(broker.urls(vhost)["migrations"])


def test_each_account_has_a_password_that_only_who_knows_the_administrators_can_tell() -> None:
    urls = broker.urls("amqp://admin:known@broker.example:5671/sales")
    passwords = {urlsplit(url).password for url in urls.values()}
    assert len(passwords) == len(broker.ACCOUNTS)
    assert {urlsplit(url).username for url in urls.values()} == set(broker.ACCOUNTS)
    others = broker.urls("amqp://admin:other@broker.example:5671/sales")
    assert not passwords & {urlsplit(url).password for url in others.values()}
    assert all(url.endswith("@broker.example:5671/sales") for url in urls.values())
