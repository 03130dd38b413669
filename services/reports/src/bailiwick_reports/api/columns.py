"""How reports look as tables: columns and cells of what is exported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from bailiwick_reports.api.spreadsheets import Cell, Row
from bailiwick_reports.domain.portfolio import Standing
from bailiwick_reports.domain.sales import Dimension, Figures, Group, Value
from bailiwick_reports.domain.team import Team

_FIGURES = ("currency", "orders", "pieces", "net", "cancelled_orders", "cancelled_net")
_NAMED = frozenset({Dimension.AUTHOR, Dimension.CREDITED_TO, Dimension.CUSTOMER})
"""Their values are ids mostly, which have names beside them."""

PORTFOLIO = (
    *("customer_id", "customer", "country", "status", "relation"),
    *("first_order_date", "last_order_date", "silent_days", "interval_days"),
    *_FIGURES,
)
TEAM = (
    *("member_id", "member", "status", "customers_main", "customers_additional"),
    *("silent_90_days", "share"),
    *_FIGURES,
)


def group_columns(by: Sequence[Dimension]) -> Sequence[str]:
    """Return the columns of a grouped report."""
    names = [[one.value, f"{one.value}_name"] if one in _NAMED else [one.value] for one in by]
    return [*(name for each in names for name in each), *_FIGURES]


def group_rows(groups: Sequence[Group]) -> Sequence[Row]:
    """Return the rows of a grouped report."""
    return [
        [*(cell for one in group.by for cell in _value(one)), *_figures(group.figures)]
        for group in groups
    ]


def standing_rows(found: Sequence[Standing], today: date) -> Sequence[Row]:
    """Return the rows of a portfolio: one for each customer and currency, or without figures."""
    return [
        [*_standing(standing, today), *figures]
        for standing in found
        for figures in _each(standing.figures)
    ]


def team_rows(team: Team) -> Iterator[Row]:
    """Yield the rows of a team: one for each member and currency, or without figures; then the house."""
    for one in team.members:
        known: list[Cell] = [
            *(str(one.member_id), one.name, one.status),
            *(one.customers_main, one.customers_additional, one.silent_90_days),
            team.share(one),
        ]
        yield from ([*known, *figures] for figures in _each(one.credited))
    nobody: list[Cell] = ["house", *[None] * (len(TEAM) - len(_FIGURES) - 1)]
    yield from ([*nobody, *_figures(figures)] for figures in team.house)


def _standing(standing: Standing, today: date) -> list[Cell]:
    return [
        str(standing.customer_id),
        standing.name,
        standing.country,
        standing.status,
        standing.relation,
        standing.first_order_date,
        standing.last_order_date,
        standing.silent_days(today),
        standing.interval_days,
    ]


def _each(figures: Sequence[Figures]) -> Sequence[Sequence[Cell]]:
    return [_figures(one) for one in figures] or [[None] * len(_FIGURES)]


def _figures(figures: Figures) -> list[Cell]:
    return [
        figures.currency,
        figures.orders,
        figures.pieces,
        figures.net,
        figures.cancelled_orders,
        figures.cancelled_net,
    ]


def _value(value: Value) -> list[Cell]:
    if value.dimension in _NAMED:
        return [value.value, value.label]
    return [date.fromisoformat(value.value) if value.dimension is Dimension.DAY else value.value]
