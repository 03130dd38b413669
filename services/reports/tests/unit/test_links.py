"""A row's link says in the words of /v1/orders exactly what the row counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest

from bailiwick_reports.api.links import orders_link
from bailiwick_reports.domain.sales import COUNTING, Asked, Dimension, Value

ID, OTHER = UUID(int=7), UUID(int=8)
ALL_STATES = [("state", state) for state in COUNTING]


def row(dimension: Dimension, value: str) -> Value:
    return Value(dimension, value, None)


def said(link: str) -> list[tuple[str, str]]:
    """Return what a link says besides the three states."""
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc, parts.path) == ("", "", "/v1/orders")
    pairs = parse_qsl(parts.query, strict_parsing=True)
    assert pairs[:3] == ALL_STATES
    return pairs[3:]


def test_nothing_asked_says_the_states_only() -> None:
    assert said(orders_link(Asked())) == []


def test_the_states_asked_for_are_the_links() -> None:
    assert orders_link(Asked(states=("placed",))) == "/v1/orders?state=placed"


def test_every_filter_is_carried() -> None:
    asked = Asked(
        order_date_from=date(2026, 1, 2),
        order_date_to=date(2026, 2, 3),
        source="visit",
        customer=ID,
        country="GB",
        author="others",
        credited_to="house",
        currency="EUR",
    )
    assert said(orders_link(asked)) == [
        ("order_date_from", "2026-01-02"),
        ("order_date_to", "2026-02-03"),
        ("source", "visit"),
        ("customer_id", str(ID)),
        ("country", "GB"),
        ("author_id", "others"),
        ("credited_to", "house"),
        ("currency", "EUR"),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (row(Dimension.SOURCE, "import"), ("source", "import")),
        (row(Dimension.CUSTOMER, str(ID)), ("customer_id", str(ID))),
        (row(Dimension.CUSTOMER, "former"), ("customer_id", "former")),
        (row(Dimension.COUNTRY, "former"), ("customer_id", "former")),
        (row(Dimension.COUNTRY, "none"), ("country", "none")),
        (row(Dimension.COUNTRY, "GB"), ("country", "GB")),
        (row(Dimension.AUTHOR, str(ID)), ("author_id", str(ID))),
        (row(Dimension.AUTHOR, "others"), ("author_id", "others")),
        (row(Dimension.CREDITED_TO, str(ID)), ("credited_to", str(ID))),
        (row(Dimension.CREDITED_TO, "house"), ("credited_to", "house")),
        (row(Dimension.CREDITED_TO, "others"), ("credited_to", "others")),
    ],
)
def test_what_a_row_is_about_is_in_its_link(value: Value, expected: tuple[str, str]) -> None:
    assert said(orders_link(Asked(), [value], "EUR")) == [expected, ("currency", "EUR")]


@pytest.mark.parametrize(
    ("dimension", "value", "first", "last"),
    [
        (Dimension.DAY, "1996-07-04", "1996-07-04", "1996-07-04"),
        (Dimension.MONTH, "1997-01", "1997-01-01", "1997-01-31"),
        (Dimension.MONTH, "2024-02", "2024-02-01", "2024-02-29"),
        (Dimension.MONTH, "0001-02", "0001-02-01", "0001-02-28"),
        (Dimension.MONTH, "9999-12", "9999-12-01", "9999-12-31"),
    ],
)
def test_a_time_becomes_two_dates(dimension: Dimension, value: str, first: str, last: str) -> None:
    dates = [("order_date_from", first), ("order_date_to", last)]
    assert said(orders_link(Asked(), [row(dimension, value)])) == dates


def test_a_month_of_which_only_a_part_was_asked_for_stays_that_part() -> None:
    asked = Asked(order_date_from=date(1997, 1, 10), order_date_to=date(1997, 2, 3))
    january, february = (
        said(orders_link(asked, [row(Dimension.MONTH, month)])) for month in ("1997-01", "1997-02")
    )
    assert january == [("order_date_from", "1997-01-10"), ("order_date_to", "1997-01-31")]
    assert february == [("order_date_from", "1997-02-01"), ("order_date_to", "1997-02-03")]


def test_a_folded_row_says_no_less_than_the_filter_that_found_it() -> None:
    house = Asked(credited_to="house")
    assert said(orders_link(house, [row(Dimension.CREDITED_TO, "others")])) == [
        ("credited_to", "house")
    ]
    others = Asked(author="others")
    assert said(orders_link(others, [row(Dimension.AUTHOR, str(OTHER))])) == [
        ("author_id", str(OTHER))
    ]


def test_two_dimensions_hold_at_once() -> None:
    by = [row(Dimension.MONTH, "1997-01"), row(Dimension.COUNTRY, "GB")]
    assert said(orders_link(replace(Asked(), source="visit"), by, "GBP")) == [
        ("order_date_from", "1997-01-01"),
        ("order_date_to", "1997-01-31"),
        ("source", "visit"),
        ("country", "GB"),
        ("currency", "GBP"),
    ]
