"""orders on a real database and a real OPA, with a made-up identity and made-up customers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bailiwick_testkit.fakes.customers import MadeUpCustomers
from bailiwick_testkit.servers.real import Opa, Postgres
from bailiwick_testkit.services.orders import OrdersService
from bailiwick_testkit.services.service_under_test import ServiceUnderTest, open_shop


@pytest.fixture
async def shop(postgres: Postgres, opa: Opa) -> AsyncIterator[ServiceUnderTest]:
    """A fresh organization in an orders service with a database of its own."""
    async with open_shop("orders", postgres, opa.url) as shop:
        yield shop


@pytest.fixture
def market(shop: ServiceUnderTest) -> OrdersService:
    """Customers for the shop."""
    return OrdersService(shop, MadeUpCustomers(shop.org_id))
