"""identity on a real database and a real OPA, with nobody in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bailiwick_testkit.servers.real import Opa, Postgres
from bailiwick_testkit.services.identity import IdentityService, open_house


@pytest.fixture
async def house(postgres: Postgres, opa: Opa, tmp_path: Path) -> AsyncIterator[IdentityService]:
    """A fresh identity."""
    async with open_house(postgres, opa.url, tmp_path) as house:
        yield house


@pytest.fixture(scope="module")
async def shared(
    postgres: Postgres, opa: Opa, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[IdentityService]:
    """An identity for tests that each found an organization of their own and leave no account behind."""
    async with open_house(postgres, opa.url, tmp_path_factory.mktemp("house")) as house:
        yield house
