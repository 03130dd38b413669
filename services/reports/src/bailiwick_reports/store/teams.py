"""The members with the customers they hold, and how well customers are covered: statements."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from bailiwick_access import representatives
from bailiwick_reports.domain.sales import COUNTING
from bailiwick_reports.domain.team import Performance
from bailiwick_reports.store.tables import assignments, customers, members, sales
from bailiwick_reports.store.visible_rows import NOW, ORG_ID

_COUNTS = representatives.counting(members)
"""An assignment of anybody else counts as none (domain §3). Binds `now` and `holding`."""

_STATUS = sa.case(
    (sa.and_(members.c.status != "inactive", members.c.valid_until <= NOW), "expired"),
    else_=members.c.status,
)
"""How identity lists the membership. Binds `now`."""

_VALID = sa.and_(
    assignments.c.org_id == ORG_ID, assignments.c.valid_from <= NOW, assignments.c.valid_to > NOW
)


def _held() -> sa.Subquery:
    last = (
        sa.select(sales.c.customer_id, sa.func.max(sales.c.order_date).label("order_date"))
        .where(sales.c.org_id == ORG_ID, sales.c.state.in_(COUNTING))
        .group_by(sales.c.customer_id)
        .subquery("last_order")
    )
    since = sa.bindparam("silent_since", type_=sa.Date)
    is_silent = sa.or_(last.c.order_date.is_(None), last.c.order_date <= since)
    is_main, is_additional = (assignments.c.relation == one for one in ("main", "additional"))
    one = assignments.c.customer_id.distinct()
    return (
        sa.select(
            assignments.c.member_id,
            sa.func.count(one).filter(is_main).label("customers_main"),
            sa.func.count(one).filter(is_additional).label("customers_additional"),
            sa.func.count(one).filter(sa.and_(is_main, is_silent)).label("silent_90_days"),
        )
        .select_from(
            assignments.join(
                customers,
                sa.and_(
                    customers.c.org_id == ORG_ID,
                    customers.c.customer_id == assignments.c.customer_id,
                ),
            ).outerjoin(last, last.c.customer_id == assignments.c.customer_id)
        )
        .where(_VALID)
        .group_by(assignments.c.member_id)
        .subquery("held")
    )


def _performances() -> sa.Select[Any]:
    held = _held()
    counts = [
        sa.func.coalesce(held.c[name], 0).label(name)
        for name in ("customers_main", "customers_additional", "silent_90_days")
    ]
    return (
        sa.select(
            *members.c["member_id", "name"],
            _STATUS.label("status"),
            _COUNTS.label("counts"),
            *counts,
        )
        .select_from(members.outerjoin(held, held.c.member_id == members.c.member_id))
        .where(members.c.org_id == ORG_ID, members.c.kind == "member")
        .order_by(counts[0].desc(), members.c.member_id)
    )


def _coverage() -> sa.Select[int, int]:
    represented = (
        sa.exists()
        .where(_VALID, assignments.c.customer_id == customers.c.customer_id)
        .where(assignments.c.relation == "main")
        .where(members.c.org_id == ORG_ID, members.c.member_id == assignments.c.member_id, _COUNTS)
    )
    return sa.select(
        sa.func.count().label("approved"),
        sa.func.count().filter(sa.not_(represented)).label("without_representative"),
    ).where(customers.c.org_id == ORG_ID, customers.c.status == "approved")


PERFORMANCES = _performances()
"""Every member, most customers first. Binds `org_id`, `now`, `holding` and `silent_since`."""

COVERAGE = _coverage()
"""Binds `org_id`, `now` and `holding`."""


def to_performance(row: RowMapping) -> Performance:
    """Return the member in a row, without their credit."""
    return Performance(**row)
