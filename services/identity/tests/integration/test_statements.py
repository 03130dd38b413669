"""How members are read: planned for their values where those matter (ADR 18)."""

from __future__ import annotations

import pytest

from bailiwick_testkit.checks.query_plans import listening
from bailiwick_testkit.services.identity import IdentityService

PATH = "/v1/members"
TIMES = 8
"""PostgreSQL may decide for one plan from the sixth time on."""


@pytest.mark.parametrize("query", ["?status=active", "?kind=member&limit=10", "?text=ana"])
async def test_what_is_narrowed_is_planned_for_its_values_however_often_it_is_asked(
    house: IdentityService, query: str
) -> None:
    assert await plans(house, query) == (0, TIMES)


async def test_the_first_page_of_all_keeps_one_plan(house: IdentityService) -> None:
    assert await plans(house, "") == (TIMES, 0)


async def plans(house: IdentityService, query: str) -> tuple[int, int]:
    """Return how often the same list ran by one plan for all values, and how often by its own."""
    mia = await house.found()
    with listening() as sent:
        for _ in range(TIMES):
            answer = await house.api.get(mia, PATH + query)
            assert answer.status_code == 200, answer.text
    *_, statement = [one for one in sent if "listed_at DESC" in one.text]
    return await statement.plans()
