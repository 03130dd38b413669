"""Figures: exact, by currency, cancelled ones apart; silence, intervals and how customers are spread."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from bailiwick_reports.api.schemas import plain
from bailiwick_reports.domain.errors import ReportTooLarge
from bailiwick_reports.domain.portfolio import Standing, silent_since, today_in
from bailiwick_reports.domain.sales import Figures, refuse_too_many, totals
from bailiwick_reports.domain.team import Coverage, Performance, Team, distribution


def figures(currency: str, net: str, orders: int = 1) -> Figures:
    return Figures(currency, orders, Decimal("2.5"), Decimal(net), 1, Decimal("0.0001"))


def test_totals_are_by_currency_and_never_across() -> None:
    found = totals([figures("GBP", "1"), figures("EUR", "2"), figures("GBP", "3.0001", 4)])
    assert found == (
        figures("EUR", "2"),
        Figures("GBP", 5, Decimal("5.0"), Decimal("4.0001"), 2, Decimal("0.0002")),
    )
    with pytest.raises(ValueError, match="cannot add"):
        _ = found[0] + found[1]


def test_sums_are_exact_beyond_28_digits() -> None:
    large = "99999999999999999999999999.0001"
    [total] = totals([figures("EUR", large), figures("EUR", "0.0001")])
    assert total.net == Decimal("99999999999999999999999999.0002")


def test_as_many_rows_as_there_may_be_are_not_too_many() -> None:
    refuse_too_many(5_000)
    with pytest.raises(ReportTooLarge):
        refuse_too_many(5_001)


@pytest.mark.parametrize(
    ("number", "decimals", "expected"),
    [
        ("12.0000", 0, "12"),
        ("12.5000", 0, "12.5"),
        ("0.0000", 0, "0"),
        ("100", 0, "100"),
        ("1E+3", 0, "1000"),
        ("-3.1000", 2, "-3.10"),
        ("12", 2, "12.00"),
        ("12.3456", 2, "12.3456"),
    ],
)
def test_numbers_are_written_plainly(number: str, decimals: int, expected: str) -> None:
    assert plain(Decimal(number), decimals=decimals) == expected


def standing(first: date | None, last: date | None, dates: int) -> Standing:
    return Standing(UUID(int=1), "Sol", "ES", "approved", "main", first, last, dates)


def test_an_interval_is_the_mean_between_days_with_orders() -> None:
    assert standing(date(2026, 1, 1), date(2026, 1, 15), 3).interval_days == Decimal("7.0")
    assert standing(date(2026, 1, 1), date(2026, 1, 2), 4).interval_days == Decimal("0.3")
    assert standing(date(2026, 1, 1), date(2026, 1, 1), 1).interval_days is None
    assert standing(None, None, 0).interval_days is None


def test_silence_is_counted_in_days_and_never_negative() -> None:
    today = date(2026, 3, 1)
    assert standing(today, date(2026, 2, 27), 1).silent_days(today) == 2
    assert standing(today, today, 1).silent_days(today) == 0
    assert standing(today, date(2026, 3, 9), 1).silent_days(today) == 0
    assert standing(None, None, 0).silent_days(today) is None
    assert silent_since(today, 2) == date(2026, 2, 27)


def test_today_is_the_organizations() -> None:
    now = datetime(2026, 1, 15, 23, 30, tzinfo=UTC)
    assert today_in("Europe/Madrid", now) == date(2026, 1, 16)
    assert today_in("America/New_York", now) == date(2026, 1, 15)


def test_a_distribution_names_who_has_too_much_and_who_too_little() -> None:
    a, b, c, d = (UUID(int=number) for number in range(1, 5))
    found = distribution([(a, 10), (b, 3), (c, 2), (d, 1)])
    assert (found.members, found.least, found.most) == (4, 1, 10)
    assert (found.mean, found.median) == (Decimal("4.00"), Decimal("2.50"))
    assert (found.over_twice_the_mean, found.under_half_the_mean) == ((a,), (d,))


def test_exactly_twice_or_half_the_mean_is_within_bounds() -> None:
    a, b, c = (UUID(int=number) for number in range(1, 4))
    found = distribution([(a, 4), (b, 1), (c, 1)])
    assert found.mean == Decimal(2)
    assert not found.over_twice_the_mean
    assert not found.under_half_the_mean


def test_nobody_with_customers_is_a_distribution_too() -> None:
    assert distribution([]).members == 0


def performance(number: int, main: int, additional: int = 0, *, active: bool = True) -> Performance:
    return Performance(UUID(int=number), "A", "active", active, main, additional, 0)


def test_shares_are_of_all_customers_with_a_main_and_spread_over_active_holders_only() -> None:
    team = Team(
        (
            performance(1, 2),
            performance(2, 1),
            performance(3, 0, 1),
            performance(4, 0),
            performance(5, 1, active=False),
        ),
        (),
        Coverage(0, 0),
    )
    assert [team.share(one) for one in team.members] == [
        Decimal("0.5000"),
        Decimal("0.2500"),
        0,
        0,
        Decimal("0.2500"),
    ]
    assert (team.distribution.members, team.distribution.mean) == (3, Decimal("1.00"))


def test_shares_of_nothing_are_nothing() -> None:
    team = Team((performance(1, 0, 1),), (), Coverage(0, 0))
    assert team.share(team.members[0]) == 0
