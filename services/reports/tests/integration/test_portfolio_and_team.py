"""Portfolios with their silence, and the team with its customers, credit and coverage."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bailiwick_testkit.fakes.orders import A_DAY, a_line
from bailiwick_testkit.fakes.people import LONG_AGO
from bailiwick_testkit.services.reports import PATH, Cast, ReportsService, cast_of
from bailiwick_testkit.services.service_under_test import ServiceUnderTest


@pytest.fixture
async def cast(shop: ServiceUnderTest) -> Cast:
    """The domain's fixture, told to reports."""
    return await cast_of(shop)


def today() -> date:
    """Return the date in the organization's zone."""
    return datetime.now(UTC).astimezone(ZoneInfo("Europe/Madrid")).date()


async def customers(cast: Cast, name: str, query: str = "") -> dict[str, str | None]:
    """Return who is in a portfolio, and in which relation."""
    rows = (await cast.desk.read(cast.people[name], f"portfolio?{query}"))["rows"]
    return {row["customer"]["name"]: row["relation"] for row in rows}


async def test_a_portfolio_is_the_customers_one_represents_or_all(cast: Cast) -> None:
    assert await customers(cast, "Ana") == {"C1": "main", "C2": "additional"}
    assert await customers(cast, "Bruno") == {"C2": "main"}
    everyone = {"C1": None, "C2": None, "C3": None, "C4": "main"}
    assert await customers(cast, "Mia") == everyone
    assert await customers(cast, "Ana", "relation=main") == {"C1": "main"}
    assert await customers(cast, "Ana", "relation=additional") == {"C2": "additional"}
    assert await customers(cast, "Mia", "relation=main") == {"C4": "main"}


async def test_a_portfolio_moves_with_its_customers_and_a_plan_changes_nothing(cast: Cast) -> None:
    bruno = cast.people["Bruno"]
    later = datetime.now(UTC) + timedelta(days=1)
    cast.desk.customers.hand_over(cast.c1_main, bruno.member_id, later)
    await cast.desk.tell()
    assert await customers(cast, "Ana") == {"C1": "main", "C2": "additional"}
    assert await customers(cast, "Bruno") == {"C2": "main"}


async def test_a_row_has_all_orders_of_the_customer_whoever_wrote_them(cast: Cast) -> None:
    rows = (await cast.desk.read(cast.people["Ana"], "portfolio?relation=main"))["rows"]
    [row] = rows
    customer_id = cast.customers["C1"]
    assert row == {
        "customer": {
            "customer_id": str(customer_id),
            "name": "C1",
            "country": "ES",
            "status": "approved",
        },
        "relation": "main",
        "first_order_date": A_DAY.isoformat(),
        "last_order_date": A_DAY.isoformat(),
        "silent_days": max(0, (today() - A_DAY).days),
        "interval_days": None,
        "figures": [
            {
                "currency": "EUR",
                "orders": 3,
                "pieces": "6",
                "net": {"amount": "60.00", "currency": "EUR"},
                "cancelled": {"orders": 0, "net": {"amount": "0.00", "currency": "EUR"}},
            }
        ],
        "orders_link": "/v1/orders?state=placed&state=confirmed&state=fulfilled"
        f"&customer_id={customer_id}",
    }


async def silences(desk: ReportsService, who: Any, query: str = "") -> list[tuple[str, int | None]]:
    rows = (await desk.read(who, f"portfolio?{query}"))["rows"]
    return [(row["customer"]["name"], row["silent_days"]) for row in rows]


async def test_the_longest_silent_come_first_and_those_that_never_ordered_before_all(
    shop: ServiceUnderTest,
) -> None:
    desk, mia = ReportsService.of(shop), await shop.member("brand_manager")
    now = today()
    for name, days in (("today", [0, 10, 40]), ("old", [100]), ("never", []), ("30", [30, 90])):
        customer = desk.customers.customer(name)
        for ago in days:
            day = now - timedelta(days=ago)
            desk.orders.placed(customer, mia.member_id, None, day)
        desk.orders.draft(customer, mia.member_id)
        gone = desk.orders.placed(customer, mia.member_id, None, now)
        desk.orders.cancel(gone)
    await desk.tell()

    in_order = [("never", None), ("old", 100), ("30", 30), ("today", 0)]
    assert await silences(desk, mia) == in_order
    assert await silences(desk, mia, "silent_for=1") == in_order[:3]
    assert await silences(desk, mia, "silent_for=30") == in_order[:3]
    assert await silences(desk, mia, "silent_for=31") == in_order[:2]
    assert await silences(desk, mia, "silent_for=101") == in_order[:1]
    rows = (await desk.read(mia, "portfolio"))["rows"]
    assert [row["interval_days"] for row in rows] == [None, None, "60", "20"]
    assert [one["cancelled"]["orders"] for row in rows for one in row["figures"]] == [1] * 4
    assert [row["figures"][0]["orders"] for row in rows] == [0, 1, 2, 3]

    since = now - timedelta(days=35)
    rows = (await desk.read(mia, f"portfolio?order_date_from={since}&order_date_to={since}"))[
        "rows"
    ]
    assert [row["silent_days"] for row in rows] == [None, 100, 30, 0]
    assert {len(row["figures"]) for row in rows} == {0}
    rows = (await desk.read(mia, f"portfolio?order_date_from={since}"))["rows"]
    assert [row["figures"][0]["orders"] for row in rows] == [0, 0, 1, 2]
    assert all(f"order_date_from={since}" in row["orders_link"] for row in rows)


async def test_a_portfolio_keeps_currencies_apart(shop: ServiceUnderTest) -> None:
    desk, mia = ReportsService.of(shop), await shop.member("brand_manager")
    customer = desk.customers.customer()
    for currency in ("GBP", "EUR", "GBP"):
        desk.orders.placed(
            customer, mia.member_id, None, currency=currency, lines=[a_line("1", "1.5")]
        )
    await desk.tell()
    [row] = (await desk.read(mia, "portfolio"))["rows"]
    assert [(one["currency"], one["orders"], one["net"]["amount"]) for one in row["figures"]] == [
        ("EUR", 1, "1.50"),
        ("GBP", 2, "3.00"),
    ]


async def test_a_wrong_query_of_a_portfolio_is_named(cast: Cast) -> None:
    for query in ("silent_for=0", "silent_for=x", "silent_for=99999", "relation=cover", "by=day"):
        answer = await cast.desk.shop.api.get(cast.people["Ana"], f"{PATH}/portfolio?{query}")
        assert answer.status_code == 422, query
        assert answer.json()["errors"][0]["where"] == query.partition("=")[0]


async def team(cast: Cast, query: str = "") -> dict[str, Any]:
    return await cast.desk.read(cast.people["Mia"], f"team?{query}")


async def test_a_team_is_compared_by_customers_and_credit(cast: Cast) -> None:
    body = await team(cast)
    members = {one["member"]["name"]: one for one in body["members"]}
    assert set(members) == {"Mia", "Ana", "Bruno"}
    customers = {
        name: (one["customers_main"], one["customers_additional"], one["share"])
        for name, one in members.items()
    }
    assert customers == {
        "Mia": (1, 0, "0.3333"),
        "Ana": (1, 1, "0.3333"),
        "Bruno": (1, 0, "0.3333"),
    }
    credited = {
        name: [(one["currency"], one["orders"], one["net"]["amount"]) for one in member["credited"]]
        for name, member in members.items()
    }
    assert credited == {
        "Mia": [("EUR", 2, "40.00")],
        "Ana": [("EUR", 3, "60.00")],
        "Bruno": [("EUR", 1, "20.00")],
    }
    assert [one["orders"] for one in body["house"]] == [1]
    assert body["coverage"] == {"approved": 4, "without_representative": 1}
    assert body["distribution"] == {
        "members": 3,
        "mean": "1",
        "median": "1",
        "least": 1,
        "most": 1,
        "over_twice_the_mean": [],
        "under_half_the_mean": [],
    }
    ana = cast.people["Ana"].member_id
    assert members["Ana"]["orders_link"].endswith(f"&credited_to={ana}")


async def test_credit_of_a_team_is_of_the_period_and_customers_are_of_now(cast: Cast) -> None:
    after = A_DAY + timedelta(days=1)
    body = await team(cast, f"order_date_from={after}")
    assert [one["credited"] for one in body["members"]] == [[], [], []]
    assert body["house"] == []
    assert {one["customers_main"] for one in body["members"]} == {1}
    assert f"order_date_from={after}" in body["members"][0]["orders_link"]


async def test_a_member_who_is_not_active_covers_nobody_and_is_not_spread_over(cast: Cast) -> None:
    shop = cast.desk.shop
    for number in range(3):
        pending = cast.desk.customers.customer(f"P{number}", status="pending")
        cast.desk.customers.assign(pending, cast.people["Mia"].member_id)
    await cast.desk.tell()
    assert (await team(cast))["coverage"] == {"approved": 4, "without_representative": 1}
    bruno = {"member_id": cast.people["Bruno"].member_id, "name": "Bruno"}
    for change in ({"status": "inactive"}, {"valid_until": LONG_AGO + timedelta(days=1)}):
        await shop.member("sales_representative", **bruno, **change)
        body = await team(cast)
        assert body["coverage"] == {"approved": 4, "without_representative": 2}
        assert body["distribution"]["members"] == 2
        left = next(one for one in body["members"] if one["member"]["name"] == "Bruno")
        assert (left["customers_main"], left["share"]) == (1, "0.1667")
        assert left["member"]["status"] == change.get("status", "expired")


@pytest.mark.parametrize(
    ("role", "changes"), [("custom_member", {}), (None, {"permissions": ["reports", "customers"]})]
)
async def test_a_main_who_may_hold_no_portfolio_covers_nobody_and_is_not_spread_over(
    cast: Cast, role: str | None, changes: dict[str, Any]
) -> None:
    bruno = {"member_id": cast.people["Bruno"].member_id, "name": "Bruno"}
    await cast.desk.shop.member(role, **bruno, **changes)
    body = await team(cast)
    assert body["coverage"] == {"approved": 4, "without_representative": 2}
    assert body["distribution"]["members"] == 2


async def test_silent_customers_are_counted_for_their_main(cast: Cast) -> None:
    recent = today() - timedelta(days=89)
    ids = {name: one.member_id for name, one in cast.people.items()}
    cast.desk.orders.placed(cast.customers["C1"], ids["Ana"], ids["Ana"], recent)
    old = today() - timedelta(days=90)
    quiet = cast.desk.customers.customer("quiet")
    cast.desk.customers.assign(quiet, ids["Bruno"])
    cast.desk.orders.placed(quiet, ids["Bruno"], ids["Bruno"], old)
    unheard = cast.desk.customers.customer("unheard")
    cast.desk.customers.assign(unheard, ids["Bruno"])
    await cast.desk.tell()
    silent = {one["member"]["name"]: one["silent_90_days"] for one in (await team(cast))["members"]}
    # C1 has a recent order; the fixture's other orders are as old as the calendar says.
    base = 1 if (today() - A_DAY).days >= 90 else 0
    assert silent == {"Mia": base, "Ana": 0, "Bruno": base + 2}


async def test_an_assignment_counts_from_its_start_to_before_its_end(cast: Cast) -> None:
    now = datetime.now(UTC)
    nora = await cast.desk.shop.member("sales_representative", name="Nora")
    told = cast.desk.customers
    for start, end in ((1, 2), (-2, -1)):
        told.assign(
            told.customer(),
            nora.member_id,
            valid_from=now + timedelta(days=start),
            valid_to=now + timedelta(days=end),
        )
    await cast.desk.tell()
    assert "Nora" not in {one["member"]["name"] for one in (await team(cast))["members"]}
    assert (await cast.desk.read(nora, "portfolio"))["rows"] == []
