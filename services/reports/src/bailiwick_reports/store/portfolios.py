"""Customers with what they ordered and when: statements, and what becomes of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from bailiwick_kit.policy.scope import Scope
from bailiwick_reports.domain.portfolio import AskedPortfolio, Standing
from bailiwick_reports.domain.sales import CANCELLED, COUNTING, Figures
from bailiwick_reports.store.aggregate import sums
from bailiwick_reports.store.tables import customers, sales
from bailiwick_reports.store.visible_rows import CELL, ORG_ID, visible_customers


@lru_cache(maxsize=1024)
def standings(scope: Scope, names: frozenset[str], *, is_limited: bool) -> sa.Select[Any] | None:
    """Return what selects the customers of a portfolio, the longest silent first; None where none.

    `names` are `relation` and `silent_since`, where asked for. Binds what `scoped.bound` gives, these,
    and `limit`.
    """
    found = visible_customers(scope)
    if found is None:
        return None
    rows, relation = found
    # Customer by customer, in the key's order: a small portfolio reads little of the cube.
    ordered = (
        sa.select(
            sa.func.min(sales.c.order_date).label("first_order_date"),
            sa.func.max(sales.c.order_date).label("last_order_date"),
            sa.func.count(sales.c.order_date.distinct()).label("order_dates"),
        )
        .where(
            sales.c.org_id == ORG_ID,
            sales.c.customer_id == customers.c.customer_id,
            sales.c.state.in_(COUNTING),
        )
        .lateral("ordered")
    )
    last = ordered.c.last_order_date
    statement = (
        sa.select(
            *customers.c["customer_id", "name", "country", "status"],
            relation.label("relation"),
            *ordered.c,
        )
        .select_from(rows.source.join(ordered, sa.true()))
        .where(*rows.where)
        .order_by(last.asc().nulls_first(), customers.c.customer_id)
    )
    if "relation" in names:
        statement = statement.where(relation == sa.bindparam("relation", type_=sa.Text))
    if "silent_since" in names:
        silent = last <= sa.bindparam("silent_since", type_=sa.Date)
        statement = statement.where(sa.or_(last.is_(None), silent))
    return statement.limit(sa.bindparam("limit", type_=sa.Integer)) if is_limited else statement


@lru_cache(maxsize=16)
def figures_of_customers(names: frozenset[str]) -> sa.Select[Any]:
    """Return what selects the figures of named customers; binds `org_id`, `customer_ids` and the dates."""
    wanted = sa.bindparam("customer_ids", type_=sa.ARRAY(sa.Uuid))
    return (
        sa.select(sales.c.customer_id, sales.c.currency, *sums(sales.c.state != CANCELLED, CELL))
        .where(sales.c.org_id == ORG_ID, sales.c.customer_id == sa.any_(wanted), *_dates(names))
        .group_by(sales.c.customer_id, sales.c.currency)
        .order_by(sales.c.customer_id, sales.c.currency)
    )


def dates_of(asked: AskedPortfolio) -> dict[str, object]:
    """Return the dates that are asked for, as they are bound."""
    dates = {
        "order_date_from": asked.order_date_from,
        "order_date_to": asked.order_date_to,
    }
    return {name: value for name, value in dates.items() if value is not None}


def to_standing(row: RowMapping, figures: Sequence[Figures]) -> Standing:
    """Return the customer in a row, with its figures."""
    return Standing(
        customer_id=row["customer_id"],
        name=row["name"],
        country=row["country"],
        status=row["status"],
        relation=row["relation"],
        first_order_date=row["first_order_date"],
        last_order_date=row["last_order_date"],
        order_dates=row["order_dates"],
        figures=tuple(figures),
    )


def _dates(names: frozenset[str]) -> list[sa.ColumnElement[bool]]:
    bounds = {
        "order_date_from": sales.c.order_date >= sa.bindparam("order_date_from", type_=sa.Date),
        "order_date_to": sales.c.order_date <= sa.bindparam("order_date_to", type_=sa.Date),
    }
    return [bounds[name] for name in sorted(names)]
