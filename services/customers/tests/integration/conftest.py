"""customers on a real database and a real OPA, with a made-up identity."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bailiwick_customers.importing import Import, opened
from bailiwick_customers.settings import Settings
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.servers.real import Opa, Postgres
from bailiwick_testkit.services.application import served, settings_for
from bailiwick_testkit.services.import_lines import Open
from bailiwick_testkit.services.service_under_test import ServiceUnderTest, open_shop

Create = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def shop(postgres: Postgres, opa: Opa) -> AsyncIterator[ServiceUnderTest]:
    """A fresh organization in a customers service with a database of its own."""
    async with open_shop("customers", postgres, opa.url) as shop:
        yield shop


@pytest.fixture
def create(shop: ServiceUnderTest) -> Create:
    """Create a customer as somebody: `await create(mia, name="…", main_id=…)`."""

    async def create(who: Person, **body: Any) -> dict[str, Any]:
        answer = await shop.api.post(who, "/v1/customers", {"name": "Librería Sol", **body})
        assert answer.status_code == 201, answer.text
        return {**answer.json(), "path": answer.headers["location"]}

    return create


@pytest.fixture
async def opening(shop: ServiceUnderTest, opa: Opa) -> AsyncIterator[Open]:
    """Open an import by somebody, as the subcommand does: `async with opening(mia) as work`."""
    async with served(shop.identity.application()) as (identity_url,):
        settings = settings_for(Settings, shop.urls, policy_url=opa.url, identity_url=identity_url)

        @asynccontextmanager
        async def opening(who: Person, *, update: bool = False) -> AsyncIterator[Import]:
            by = who.member_id
            async with opened(settings, shop.org_id, by, "old-shop", update=update) as work:
                yield work

        yield opening
