"""How lists and counts of customers are read: planned for their values where those matter."""

from __future__ import annotations

from uuid import UUID

import pytest

from bailiwick_testkit.checks.query_plans import Sent, listening
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.servers.real import Postgres
from bailiwick_testkit.services.large_company import Company, fill, superuser_dsn
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

PATH = "/v1/customers"
TIMES = 8
"""PostgreSQL may decide for one plan from the sixth time on."""


async def sent_for(shop: ServiceUnderTest, who: Person, path: str) -> tuple[Sent, int]:
    """Return the statement over customers that the service sends for a request, and how many it sends."""
    with listening() as sent:
        answer = await shop.api.get(who, path)
    assert answer.status_code == 200, answer.text
    [statement] = [one for one in sent if "visibility" in one.text or "FROM customers" in one.text]
    return statement, len(sent)


@pytest.mark.parametrize(
    "query",
    [
        f"?rep={UUID(int=9)}",
        f"?any_rep={UUID(int=9)}",
        "?unassigned=true",
        "?country=ES",
        "?status=pending",
        "?text=sol",
        "/count",
        "/count?status=pending",
        "/lookup?text=sol",
    ],
)
async def test_what_is_narrowed_or_counted_is_planned_for_its_values_however_often_it_is_asked(
    shop: ServiceUnderTest, query: str
) -> None:
    ana = await shop.member("sales_representative")
    for _ in range(TIMES):
        sent, _ = await sent_for(shop, ana, PATH + query)
    assert await sent.plans() == (0, TIMES)


async def test_the_first_page_of_all_keeps_one_plan_and_takes_no_further_round_trip(
    shop: ServiceUnderTest,
) -> None:
    ana = await shop.member("sales_representative")
    for _ in range(TIMES):
        sent, count = await sent_for(shop, ana, PATH)
    assert await sent.plans() == (TIMES, 0)
    # The organization, the caller, the page (of nobody here), and the organization cleared (D12).
    assert count == 4


async def test_a_representatives_count_reads_visibility_alone(
    shop: ServiceUnderTest, postgres: Postgres
) -> None:
    large, small = [await shop.member("sales_representative") for _ in range(2)]
    company = Company(shop.org_id, large.member_id, small.member_id, orders=20_000)
    await fill("customers", superuser_dsn(postgres, shop.urls), company)
    for who, count in ((large, 200), (small, 100)):
        sent, _ = await sent_for(shop, who, f"{PATH}/count")
        read = await sent.rows_read(shop.org_id)
        assert read["visibility"] == count
        assert read["customers"] == 0
