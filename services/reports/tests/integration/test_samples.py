"""Whatever was ever told, or will be told by the next release, reports hears: each sample, twice over."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from bailiwick_reports.main import service
from bailiwick_reports.store import tables
from bailiwick_testkit.servers.real import Postgres
from bailiwick_testkit.services.samples import Listener, Sample, listening, samples_for

TABLES = {
    "identity.organization.changed.v1": "organizations",
    "identity.member.changed.v1": "members",
    "customers.customer.changed.v1": "customers",
    "customers.assignment.changed.v1": "assignments",
}
"""What is told of them; orders tells of orders alone."""


@pytest.fixture(scope="module")
async def listener(postgres: Postgres) -> AsyncIterator[Listener]:
    """The worker's consumers on a database of their own."""
    urls = await postgres.fresh_database("reports")
    async with listening(service, tables.metadata, urls) as listener:
        yield listener


@pytest.mark.parametrize("sample", samples_for("reports"), ids=str)
async def test_sample_is_heard_twice_as_once_and_with_members_of_a_later_release(
    listener: Listener, sample: Sample
) -> None:
    kept = await listener.heard(sample)
    told = json.loads(sample.text)
    table = TABLES.get(sample.event.type, "orders")
    assert (table in kept) is (told.get("chunks", 1) == 1)  # else it is left to the change feed
    assert ("sales" in kept) is bool(
        told.get("order_date")
    )  # what was never placed is in no figure
    assert await listener.heard(sample, later=True) == kept
