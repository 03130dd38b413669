"""customers on a real database and a real OPA, with a made-up identity."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bailiwick_testkit.servers import Opa, Postgres
from bailiwick_testkit.shop import Shop, open_shop


@pytest.fixture
async def shop(postgres: Postgres, opa: Opa) -> AsyncIterator[Shop]:
    """A fresh organization in a customers service with a database of its own."""
    async with open_shop("customers", postgres, opa.url) as shop:
        yield shop
