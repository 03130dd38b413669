"""reports on a real database and a real OPA, with siblings made up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from bailiwick_kit.process.service import declare_topology
from bailiwick_testkit.servers.real import Opa, Postgres, Rabbitmq
from bailiwick_testkit.services.reports_rebuild import ReportsRebuild, open_books
from bailiwick_testkit.services.service_under_test import ServiceUnderTest, open_shop


@pytest.fixture
async def shop(postgres: Postgres, opa: Opa) -> AsyncIterator[ServiceUnderTest]:
    """A fresh organization in a reports service with a database of its own."""
    async with open_shop("reports", postgres, opa.url) as shop:
        yield shop


@pytest.fixture
async def books(shop: ServiceUnderTest) -> AsyncIterator[ReportsRebuild]:
    """The same with some trade in it, all of it heard."""
    async with open_books(shop) as books:
        await books.trade(random.Random(1))  # noqa: S311 - not for secrets
        yield books


@pytest.fixture
async def broker(rabbitmq: Rabbitmq) -> AsyncIterator[str]:
    """A virtual host with the whole topology."""
    url = await asyncio.to_thread(rabbitmq.vhost)
    await declare_topology(url)
    yield url
    await asyncio.to_thread(rabbitmq.drop_vhost, url)
