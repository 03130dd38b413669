"""Whatever was ever told, or will be told by the next release, customers hears: each sample, twice over."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bailiwick_customers.main import service
from bailiwick_customers.store import tables
from bailiwick_testkit.servers.real import Postgres
from bailiwick_testkit.services.samples import Listener, Sample, listening, samples_for

TABLES = {
    "identity.organization.changed.v1": "organizations",
    "identity.member.changed.v1": "members",
}


@pytest.fixture(scope="module")
async def listener(postgres: Postgres) -> AsyncIterator[Listener]:
    """The worker's consumers on a database of their own."""
    urls = await postgres.fresh_database("customers")
    async with listening(service, tables.metadata, urls) as listener:
        yield listener


@pytest.mark.parametrize("sample", samples_for("customers"), ids=str)
async def test_sample_is_heard_twice_as_once_and_with_members_of_a_later_release(
    listener: Listener, sample: Sample
) -> None:
    kept = await listener.heard(sample)
    assert TABLES[sample.event.type] in kept
    assert await listener.heard(sample, later=True) == kept
