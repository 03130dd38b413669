"""Whatever was ever told, or will be told by the next release, orders hears: each sample, twice over."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from bailiwick_orders.main import service
from bailiwick_orders.store import tables
from bailiwick_testkit.servers.real import Postgres
from bailiwick_testkit.services.samples import Listener, Sample, listening, samples_for

TABLES = {
    "identity.organization.changed.v1": "organizations",
    "identity.member.changed.v1": "members",
    "customers.customer.changed.v1": "customers",
    "customers.assignment.changed.v1": "assignments",
}


@pytest.fixture(scope="module")
async def listener(postgres: Postgres) -> AsyncIterator[Listener]:
    """The worker's consumers on a database of their own."""
    urls = await postgres.fresh_database("orders")
    async with listening(service, tables.metadata, urls) as listener:
        yield listener


@pytest.mark.parametrize("sample", samples_for("orders"), ids=str)
async def test_sample_is_heard_twice_as_once_and_with_members_of_a_later_release(
    listener: Listener, sample: Sample
) -> None:
    kept = await listener.heard(sample)
    is_whole = json.loads(sample.text).get("chunks", 1) == 1  # else it is left to the change feed
    assert (TABLES[sample.event.type] in kept) is is_whole
    assert await listener.heard(sample, later=True) == kept
