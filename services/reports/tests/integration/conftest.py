"""reports on a real database and a real OPA, with siblings made up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from bailiwick_kit.process.service import declare_topology
from bailiwick_testkit.books import Books, open_books
from bailiwick_testkit.servers import Opa, Postgres, Rabbitmq
from bailiwick_testkit.shop import Shop, open_shop


@pytest.fixture
async def shop(postgres: Postgres, opa: Opa) -> AsyncIterator[Shop]:
    """A fresh organization in a reports service with a database of its own."""
    async with open_shop("reports", postgres, opa.url) as shop:
        yield shop


@pytest.fixture
async def books(shop: Shop) -> AsyncIterator[Books]:
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
