"""Groups the cube: one aggregate, and the names of people and customers beside what it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from bailiwick_reports.domain.sales import (
    CANCELLED,
    FORMER,
    HOUSE,
    NOWHERE,
    OTHERS,
    Dimension,
    Figures,
    Group,
    Value,
)
from bailiwick_reports.store import tables
from bailiwick_reports.store.filters import NEED_COUNTRY, conditions, of_country
from bailiwick_reports.store.tables import customers, members, sales
from bailiwick_reports.store.visible_rows import MEMBER_ID, ORG_ID, Rows, Sight, visible_sales

_PEOPLE = frozenset({Dimension.AUTHOR, Dimension.CREDITED_TO})


def sums(
    counting: sa.ColumnElement[bool],
    figures: Mapping[str, sa.ColumnElement[Any]],
) -> Sequence[sa.Label[Any]]:
    """Return the figures of a group of rows, of which those that meet the condition count as sold."""
    is_cancelled = sales.c.state == CANCELLED
    return [
        sa.func.coalesce(sa.func.sum(column).filter(condition), 0).label(name)
        for name, column, condition in (
            ("orders", figures["orders"], counting),
            ("pieces", figures["pieces"], counting),
            ("net", figures["net"], counting),
            ("cancelled_orders", figures["orders"], is_cancelled),
            ("cancelled_net", figures["net"], is_cancelled),
        )
    ]


def to_figures(row: RowMapping) -> Figures:
    """Return the figures in a row."""
    return Figures(
        row["currency"],
        int(row["orders"]),
        row["pieces"],
        row["net"],
        int(row["cancelled_orders"]),
        row["cancelled_net"],
    )


def to_group(row: RowMapping, by: Sequence[Dimension]) -> Group:
    """Return the group in a row."""
    values = (
        _value(dimension, row[f"key{place}"], row.get(f"name{place}"))
        for place, dimension in enumerate(by)
    )
    return Group(to_figures(row), tuple(values))


@lru_cache(maxsize=1024)
def sales_by(
    sight: Sight,
    by: tuple[Dimension, ...],
    names: frozenset[str],
    *,
    is_limited: bool,
    is_small: bool,
) -> sa.Select[Any] | None:
    """Return what groups the sales that a caller may see; None where there are none.

    `is_small`: they are those of a small portfolio. Binds what `scoped.bound` gives, what the conditions
    bind, and `limit`.
    """
    rows = visible_sales(sight, is_small=is_small)
    if rows is None:
        return None
    return _grouped(rows, sight, by, names, is_limited=is_limited)


@lru_cache(maxsize=1024)
def credit_by(
    by: tuple[Dimension, ...], names: frozenset[str], *, is_limited: bool
) -> sa.Select[Any]:
    """Return what groups a caller's own credit; binds as `sales_by` does."""
    own = (sales.c.org_id == ORG_ID, sales.c.credited_to == MEMBER_ID)
    return _grouped(Rows(sales, own, sa.true()), None, by, names, is_limited=is_limited)


def _grouped(
    rows: Rows,
    sight: Sight | None,
    by: Sequence[Dimension],
    names: frozenset[str],
    *,
    is_limited: bool,
) -> sa.Select[Any]:
    if Dimension.COUNTRY in by or names & NEED_COUNTRY:
        rows = of_country(rows)
    keys = [_key(one, rows, sight).label(f"key{place}") for place, one in enumerate(by)]
    groups = (
        sa.select(*keys, sales.c.currency, *sums(sales.c.state != CANCELLED, rows.figures))
        .select_from(rows.source)
        .where(*rows.where, *conditions(names, rows, sight))
        .group_by(*(key.element for key in keys), sales.c.currency)
        .subquery("groups")
    )
    named = _named(groups, by)
    order = (groups.c[key.name].asc().nulls_last() for key in keys)
    ordered = named.order_by(*order, groups.c.currency)
    return ordered.limit(sa.bindparam("limit", type_=sa.Integer)) if is_limited else ordered


def _key(dimension: Dimension, rows: Rows, sight: Sight | None) -> sa.ColumnElement[Any]:
    """Return what to group by. Null is what is folded: other members, former customers."""
    folds_people = sight is not None and sight.is_restricted
    folds_customers = sight is not None and sight.hides_customers
    match dimension:
        case Dimension.DAY:
            return sales.c.order_date
        case Dimension.MONTH:
            month = sa.func.date_trunc("month", sa.cast(sales.c.order_date, sa.DateTime))
            return sa.cast(month, sa.Date)
        case Dimension.AUTHOR | Dimension.CREDITED_TO:
            member = sales.c.author_id if dimension is Dimension.AUTHOR else sales.c.credited_to
            return sa.case((member == MEMBER_ID, member)) if folds_people else member
        case Dimension.CUSTOMER:
            customer_id = sales.c.customer_id
            return sa.case((rows.represented, customer_id)) if folds_customers else customer_id
        case Dimension.COUNTRY:
            country = sa.func.coalesce(customers.c.country, NOWHERE).collate("C")
            return sa.case((rows.represented, country)) if folds_customers else country
        case Dimension.SOURCE:
            return sales.c.source.collate("C")


def _named(groups: sa.Subquery, by: Sequence[Dimension]) -> sa.Select[Any]:
    source: sa.FromClause = groups
    labels: list[sa.Label[Any]] = []
    for place, dimension in enumerate(by):
        key = groups.c[f"key{place}"]
        if dimension in _PEOPLE:
            known = members.alias(f"member{place}")
            on = known.c.member_id == key
        elif dimension is Dimension.CUSTOMER:
            known = customers.alias(f"customer{place}")
            on = known.c.customer_id == key
        else:
            continue
        source = source.outerjoin(known, sa.and_(known.c.org_id == ORG_ID, on))
        labels.append(known.c.name.label(f"name{place}"))
    return sa.select(groups, *labels).select_from(source)


_FOLDED: Mapping[Dimension, str] = {
    Dimension.AUTHOR: OTHERS,
    Dimension.CREDITED_TO: OTHERS,
    Dimension.CUSTOMER: FORMER,
    Dimension.COUNTRY: FORMER,
}


def _value(dimension: Dimension, key: object, name: str | None) -> Value:
    match key:
        case None:
            return _word(dimension, _FOLDED[dimension])
        case UUID() if key == tables.HOUSE and dimension is Dimension.CREDITED_TO:
            return _word(dimension, HOUSE)
        case UUID():
            return Value(dimension, str(key), name)
        case date():
            text = key.isoformat()
            return _word(dimension, text[:7] if dimension is Dimension.MONTH else text)
        case _:
            return _word(dimension, str(key))


def _word(dimension: Dimension, word: str) -> Value:
    return Value(dimension, word, word)
