"""Whatever was ever told, or will be told by the next release, notifier hears: each sample, twice over."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from bailiwick_notifier.main import service
from bailiwick_notifier.store import tables
from bailiwick_testkit.servers.real import Postgres
from bailiwick_testkit.services.notifier import SENDER
from bailiwick_testkit.services.samples import Listener, Sample, listening, samples_for

CHANGES = [f"orders.order.{what}.v1" for what in ("edited", "confirmed", "fulfilled", "cancelled")]
TABLES = {
    "identity.organization.changed.v1": "organizations",
    "identity.member.changed.v1": "members",
    "customers.customer.changed.v1": "customer_names",
    "customers.assignment.changed.v1": "assignments",
    "orders.order.placed.v1": "notices",
    **dict.fromkeys(CHANGES, "changed_orders"),
}


@pytest.fixture(scope="module")
async def listener(postgres: Postgres) -> AsyncIterator[Listener]:
    """The worker's consumers on a database of their own."""
    urls = await postgres.fresh_database("notifier")
    own = {"smtp_url": SecretStr("smtp://127.0.0.1:9"), "mail_from": SENDER}
    async with listening(service, tables.metadata, urls, **own) as listener:
        yield listener


def counted(kept: Mapping[str, list[Any]]) -> dict[str, int]:
    """Leave out what differs from one hearing to another: instants, and the ids of events."""
    return {name: len(rows) for name, rows in kept.items()}


@pytest.mark.parametrize("sample", samples_for("notifier"), ids=str)
async def test_sample_is_heard_twice_as_once_and_with_members_of_a_later_release(
    listener: Listener, sample: Sample
) -> None:
    kept = await listener.heard(sample)
    told = json.loads(sample.text)
    table = TABLES[sample.event.type]
    # A changeset in chunks is left to the change feed, an imported order is no new one, a draft none yet.
    is_new = not told.get("imported") and told.get("placed_at", "") is not None
    is_kept = told.get("chunks", 1) == 1 and (is_new or table not in {"notices", "changed_orders"})
    assert (table in kept) is is_kept
    assert counted(await listener.heard(sample, later=True)) == counted(kept)
