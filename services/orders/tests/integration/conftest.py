"""orders on a real database and a real OPA, with a made-up identity and made-up customers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bailiwick_testkit.market import Market
from bailiwick_testkit.portfolio import MadeUpCustomers
from bailiwick_testkit.servers import Opa, Postgres
from bailiwick_testkit.shop import Shop, open_shop


@pytest.fixture
async def shop(postgres: Postgres, opa: Opa) -> AsyncIterator[Shop]:
    """A fresh organization in an orders service with a database of its own."""
    async with open_shop("orders", postgres, opa.url) as shop:
        yield shop


@pytest.fixture
def market(shop: Shop) -> Market:
    """Customers for the shop."""
    return Market(shop, MadeUpCustomers(shop.org_id))
