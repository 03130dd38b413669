"""An engine of these tests' own, with the bundle built from this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bailiwick_testkit.servers.real import Opa


@pytest.fixture(scope="session")
def engine_url(opa: Opa) -> Iterator[str]:
    """Where it is; a rule may be added to it, and the shared one stays as it is."""
    extra = opa.extra()
    yield extra.url
    extra.stop()
