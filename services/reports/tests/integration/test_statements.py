"""How figures are read: of a small portfolio its own, of a large one the whole cube; planned each time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from bailiwick_reports.store import queries
from bailiwick_testkit.checks.query_plans import Sent, listening
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.servers.real import Opa, Postgres
from bailiwick_testkit.services.large_company import Company, fill, superuser_dsn
from bailiwick_testkit.services.reports import PATH
from bailiwick_testkit.services.service_under_test import ServiceUnderTest, open_shop

REPORTS = (
    "sales",
    "sales?by=month",
    "sales?by=customer&by=author",
    "sales?by=country",
    "sales?order_date_from=2024-01-01&source=phone",
    "credit?by=month",
    "portfolio",
    "portfolio?silent_for=30",
)
TIMES = 8
"""PostgreSQL may decide for one plan from the sixth time on."""


@dataclass
class Large:
    """A company of 20,000 orders; the small representative's 100 customers have 1,000 of them."""

    shop: ServiceUnderTest
    small: Person
    manager: Person

    async def sent_for(self, who: Person, path: str) -> list[Sent]:
        """Return what the service asks its database for a report, besides who asks."""
        with listening() as sent:
            answer = await self.shop.api.get(who, f"{PATH}/{path}")
        assert answer.status_code == 200, answer.text
        return [one for one in sent if "FROM sales" in one.text or "FROM assignments" in one.text]


@pytest.fixture(scope="module")
async def large(postgres: Postgres, opa: Opa) -> AsyncIterator[Large]:
    """A service of its own, so that it is filled once."""
    async with open_shop("reports", postgres, opa.url) as shop:
        manager = await shop.member("brand_manager")
        reps = [await shop.member("sales_representative") for _ in range(2)]
        large, small = (one.member_id for one in reps)
        company = Company(shop.org_id, large, small, orders=20_000)
        await fill("reports", superuser_dsn(postgres, shop.urls), company)
        yield Large(shop, reps[1], manager)


@pytest.mark.parametrize("report", [one for one in REPORTS if "portfolio" not in one])
async def test_a_small_portfolios_report_reads_its_own_figures_and_not_the_companys(
    large: Large, report: str
) -> None:
    for sent in await large.sent_for(large.small, report):
        read = await sent.rows_read(large.shop.org_id)
        # Of their customers there are 1,000.
        assert read.get("sales", 0) <= 3_000, read


@pytest.mark.parametrize("report", REPORTS)
async def test_a_small_portfolio_is_told_the_same_whichever_way_it_is_read(
    large: Large, monkeypatch: pytest.MonkeyPatch, report: str
) -> None:
    near = await large.shop.api.get(large.small, f"{PATH}/{report}")
    monkeypatch.setattr(queries, "SMALL", 0)
    far = await large.shop.api.get(large.small, f"{PATH}/{report}")
    assert near.json() == far.json()


@pytest.mark.parametrize("report", ["sales", "credit", "portfolio", "team"])
async def test_a_report_is_planned_for_its_values_however_often_it_is_asked(
    large: Large, report: str
) -> None:
    for _ in range(TIMES):
        asked = await large.sent_for(large.manager, report)
    for sent in asked:
        by_one_plan, by_their_own = await sent.plans()
        assert by_one_plan == 0
        assert by_their_own >= TIMES
