"""What several of these files ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bailiwick_testkit.security.attack_target import Target, settle
from bailiwick_testkit.servers.stack import Running
from bailiwick_testkit.services.company import a_company


@pytest.fixture(scope="module")
def target(stack: Running) -> Iterator[Target]:
    """An organization of the module's own, with a record of each kind to do harm to."""
    with a_company(stack) as company:
        yield settle(company)
