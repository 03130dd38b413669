"""How members are read: planned for their values where those matter (ADR 18)."""

from __future__ import annotations

import pytest

from bailiwick_testkit.house import House
from bailiwick_testkit.plans import listening

PATH = "/v1/members"
TIMES = 8
"""PostgreSQL may decide for one plan from the sixth time on."""


@pytest.mark.parametrize("query", ["?status=active", "?kind=member&limit=10", "?text=ana"])
async def test_what_is_narrowed_is_planned_for_its_values_however_often_it_is_asked(
    house: House, query: str
) -> None:
    assert await plans(house, query) == (0, TIMES)


async def test_the_first_page_of_all_keeps_one_plan(house: House) -> None:
    assert await plans(house, "") == (TIMES, 0)


async def plans(house: House, query: str) -> tuple[int, int]:
    """Return how often the same list ran by one plan for all values, and how often by its own."""
    mia = await house.found()
    with listening() as sent:
        for _ in range(TIMES):
            answer = await house.api.get(mia, PATH + query)
            assert answer.status_code == 200, answer.text
    *_, statement = [one for one in sent if "listed_at DESC" in one.text]
    return await statement.plans()
