"""identity on a real database and a real OPA, with nobody in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bailiwick_testkit.house import House, open_house
from bailiwick_testkit.servers import Opa, Postgres


@pytest.fixture
async def house(postgres: Postgres, opa: Opa, tmp_path: Path) -> AsyncIterator[House]:
    """A fresh identity."""
    async with open_house(postgres, opa.url, tmp_path) as house:
        yield house
