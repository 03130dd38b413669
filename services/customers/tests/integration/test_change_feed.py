"""What the change feed tells of the heaviest records and the largest acts, in pages that a replica takes."""

import json
from typing import Any

import pytest

from bailiwick_kit.replication.change_feed_client import MOST_BYTES, MOST_CHANGES
from bailiwick_testkit.fakes.people import DOOR_SECRET
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

CUSTOMERS = """
    INSERT INTO customers (org_id, customer_id, code, name, search, status, contacts, addresses, tags,
        created_by, listed_at, imported, version, seq)
    SELECT $1, gen_random_uuid(), 'C' || n, 'C' || n, '', 'approved', $2, '[]', '{}', gen_random_uuid(),
        now(), true, 1, n
    FROM generate_series(1, $3) AS n
"""
ACTS = """
    INSERT INTO assignments (org_id, assignment_id, customer_id, member_id, relation, origin, valid_from,
        valid_to, created_by, changeset_id, version, seq)
    SELECT $1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'additional', 'direct', now(),
        '9999-12-31T00:00:00Z', $1, md5(act::text)::uuid, 1, $2 + act
    FROM generate_series(1, $3) AS act, generate_series(1, $4)
"""


async def fill(shop: ServiceUnderTest, customers: int, size: int, acts: int, of: int) -> None:
    """Write customers of so many bytes, and after them acts of so many assignments."""
    contact = {"name": "n" * 200, "email": None, "phone": None, "title": "t" * 200}
    contacts = json.dumps([contact] * (size // len(json.dumps(contact))))
    async with shop.database.writing(shop.org_id) as connection:
        sql = connection.exec_driver_sql
        await sql("SET LOCAL statement_timeout = 0")
        await sql(CUSTOMERS, (shop.org_id, contacts, customers))
        await sql(ACTS, (shop.org_id, customers, acts, of))
        await sql(
            "INSERT INTO change_counters (org_id, seq) VALUES ($1, $2)"
            " ON CONFLICT (org_id) DO UPDATE SET seq = excluded.seq",
            (shop.org_id, customers + acts),
        )


async def page(shop: ServiceUnderTest, after: int) -> tuple[int, dict[str, Any]]:
    """Ask the change feed as a sibling does; return how many bytes came, and what they say."""
    answer = await shop.api.client.get(
        "/internal/v1/changes",
        params={"org": str(shop.org_id), "after": str(after), "limit": str(MOST_CHANGES)},
        headers={"Authorization": f"Bearer {DOOR_SECRET}"},
    )
    assert answer.status_code == 200
    return len(answer.content), answer.json()


@pytest.mark.parametrize(
    ("customers", "size", "acts", "of"),
    [
        pytest.param(150, 224_000, 5, 500, id="34 MB of customers"),
        pytest.param(300, 300, 3, 3_000, id="acts larger than a page's rows"),
        pytest.param(10_000, 16_000, 100, 500, id="10,000", marks=pytest.mark.slow),
    ],
)
async def test_no_page_is_larger_than_its_bound_and_everything_is_told_once(
    shop: ServiceUnderTest, customers: int, size: int, acts: int, of: int
) -> None:
    await fill(shop, customers, size, acts, of)
    told: list[dict[str, Any]] = []
    complete = False
    while not complete:
        length, answer = await page(shop, told[-1]["seq"] if told else 0)
        changes, complete = answer["changes"], answer["complete"]
        assert length <= MOST_BYTES + 1_000 * len(changes) or len(changes) == 1
        told += changes
    assert [one["seq"] for one in told] == list(range(1, customers + acts + 1))
    held = [len(one["data"]["assignments"]) for one in told[customers:]]
    assert held == [of] * acts  # an act is told whole, however large it is
