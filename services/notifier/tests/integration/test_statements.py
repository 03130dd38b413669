"""How deliveries are read: planned for their values where those matter (ADR 18)."""

from __future__ import annotations

import pytest

from bailiwick_testkit.checks.query_plans import listening
from bailiwick_testkit.services.notifier import NotifierService

PATH = "/v1/deliveries"
TIMES = 8
"""PostgreSQL may decide for one plan from the sixth time on."""


@pytest.mark.parametrize(
    "query", ["?state=failed", "?state=sent&limit=10", "/count", "/count?state=failed"]
)
async def test_what_is_narrowed_or_counted_is_planned_for_its_values_however_often_it_is_asked(
    room: NotifierService, query: str
) -> None:
    assert await plans(room, query) == (0, TIMES)


async def test_the_first_page_of_all_keeps_one_plan(room: NotifierService) -> None:
    assert await plans(room, "") == (TIMES, 0)


async def plans(room: NotifierService, query: str) -> tuple[int, int]:
    """Return how often the same list ran by one plan for all values, and how often by its own."""
    mia = await room.person("Mia", "brand_manager")
    with listening() as sent:
        for _ in range(TIMES):
            answer = await room.shop.api.get(mia, PATH + query)
            assert answer.status_code == 200, answer.text
    *_, statement = [one for one in sent if "FROM deliveries" in one.text]
    return await statement.plans()
