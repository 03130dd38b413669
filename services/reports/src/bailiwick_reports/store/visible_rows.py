"""The cube through what a caller may see: facts beside each of its rows, and what is folded away (D11).

Facts are computed where policy reads them, and nowhere else: for an organization-wide caller nothing is
joined. Binds `org_id`, and where facts are read `member_id` and `now` (D7).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from bailiwick_access.assignments import held_now
from bailiwick_access.caller import Caller
from bailiwick_access.visibility import FACTS
from bailiwick_kit.policy.scope import Everybody, Nobody, Scope, Where, fields
from bailiwick_kit.policy.scope_sql import requires_a_fact, to_sql
from bailiwick_reports.store.cube import FIGURES, KEY
from bailiwick_reports.store.tables import assignments, customers, orders, sales

ORG_ID = sa.bindparam("org_id", type_=sa.Uuid)
MEMBER_ID = sa.bindparam("member_id", type_=sa.Uuid)
NOW = sa.bindparam("now", type_=sa.DateTime(timezone=True))

_RELATIONS = frozenset({"order.main", "order.additional"})
_KEPT = "order.author_keeps_view"
"""A fact of each order, and not of a row of the cube."""
CELL: Mapping[str, sa.ColumnElement[Any]] = {name: sales.c[name] for name in FIGURES}
"""The figures of a whole row."""

_OF_A_PORTFOLIO = frozenset(f"order.{fact}" for fact in FACTS)
SMALL = 1_000
"""Customers of a small portfolio. Its rows are then found by customer, in a fraction of the time in which
the whole cube is read; of 10,000 customers they are not (ADR 18)."""

HELD = sa.select(held_now(assignments).c.customer_id)
"""The customers that a caller represents now; binds as `bound` does."""

HOW_MANY_HELD = sa.select(sa.func.count().label("customers")).select_from(
    HELD.limit(SMALL + 1).subquery()
)
"""How many these are, up to one more than a small portfolio has."""


@dataclass(frozen=True)
class Sight:
    """What a caller may see of the sales, and how much of it is told apart."""

    scope: Scope
    is_restricted: bool
    """Then other members are one group."""
    hides_customers: bool
    """Then all customers that the caller does not represent now are one group."""


def bound(caller: Caller) -> dict[str, object]:
    """Return what every statement binds of the caller."""
    return {"org_id": caller.org_id, "member_id": caller.member_id, "now": caller.now}


@dataclass(frozen=True)
class Rows:
    """Rows that a caller may see: where from, under which conditions."""

    source: sa.FromClause
    where: tuple[sa.ColumnElement[bool], ...]
    represented: sa.ColumnElement[bool]
    """Whether the caller represents the row's customer now; true where nothing depends on it."""
    figures: Mapping[str, sa.ColumnElement[Any]] = field(default_factory=lambda: CELL)
    """How much of the row counts: all of it, or what its author goes on viewing."""

    def joined(self, table: sa.Table, *ons: sa.ColumnElement[bool]) -> Rows:
        """Return the rows with those of another table beside them, where there are any."""
        return replace(self, source=self.source.outerjoin(table, sa.and_(*ons)))


def is_of_a_portfolio(scope: Scope) -> bool:
    """Tell whether all that the caller may see is of customers whom they represent, or written by them."""
    return isinstance(scope, Where) and requires_a_fact(scope.condition, _OF_A_PORTFOLIO)


def visible_sales(sight: Sight, *, is_small: bool) -> Rows | None:
    """Return the rows of the cube that count for the caller; None where there are none.

    `is_small`: what may be seen is of a small portfolio, so look for its rows.

    Raises:
        PolicyUnavailable: the condition cannot be honoured to the letter.
    """
    match sight.scope:
        case Nobody():
            return None
        case Everybody():
            read: frozenset[str] = frozenset()
        case Where(condition=condition):
            read = fields(condition)
    main: sa.ColumnElement[bool] = sa.false()
    additional: sa.ColumnElement[bool] = sa.false()
    represented: sa.ColumnElement[bool] = sa.true()
    kept: sa.ColumnElement[bool] = sa.false()
    figures = CELL
    source: sa.FromClause = sales
    if read & {*_RELATIONS, _KEPT} or sight.hides_customers:
        held = held_now(assignments)
        source = sales.outerjoin(held, held.c.customer_id == sales.c.customer_id)
        main, additional = _relations(held)
        represented = held.c.customer_id.is_not(None)
        if _KEPT in read:
            alone = sa.and_(sales.c.author_id == MEMBER_ID, held.c.customer_id.is_(None))
            part = _kept_part(alone)
            source, kept = source.join(part, sa.true()), sa.and_(alone, part.c.orders > 0)
            figures = {
                name: sa.case((alone, part.c[name]), else_=sales.c[name]) for name in FIGURES
            }
    facts = _facts(main, additional, sales.c.author_id == MEMBER_ID)
    facts |= {"order.state": sales.c.state, _KEPT: kept}
    where = (sales.c.org_id == ORG_ID, *_condition(sight.scope, facts, sales))
    return Rows(source, (*where, _NEARBY) if is_small else where, represented, figures)


def _kept_part(alone: sa.ColumnElement[bool]) -> sa.FromClause:
    """Return what the orders of a cell come to that its author keeps the view of (domain §3).

    Read where the caller is the author and nothing else to the customer: few cells, each by an index.
    """
    same = [orders.c[name] == sales.c[name] for name in KEY]
    sums = [
        sa.func.coalesce(sa.func.sum(orders.c[name]), 0).label(name) for name in ("pieces", "net")
    ]
    return (
        sa.select(sa.func.count().label("orders"), *sums)
        .where(orders.c.org_id == ORG_ID, *same, orders.c.author_keeps_view, alone)
        .lateral("kept")
    )


def visible_customers(scope: Scope) -> tuple[Rows, sa.ColumnElement[str | None]] | None:
    """Return the customers whose placed orders the caller may see as a representative, or for all.

    Beside them how the caller stands to each: main, additional or null.
    """
    if isinstance(scope, Nobody):
        return None
    held = held_now(assignments)
    facts = _facts(*_relations(held), sa.false())
    facts |= {"order.state": sa.literal("placed", sa.Text), _KEPT: sa.false()}
    is_outer = not is_of_a_portfolio(scope)
    rows = Rows(
        customers.join(held, held.c.customer_id == customers.c.customer_id, isouter=is_outer),
        (customers.c.org_id == ORG_ID, *_condition(scope, facts, customers)),
        held.c.customer_id.is_not(None),
    )
    relation = sa.case((held.c.main, "main"), (held.c.additional, "additional"), else_=sa.null())
    return rows, relation


# The condition of policy stands beside it and says the same; this one is found by two indexes.
_NEARBY = sa.or_(
    sales.c.customer_id == sa.any_(sa.func.array(HELD.scalar_subquery())),
    sales.c.author_id == MEMBER_ID,
)


def _relations(
    held: sa.Subquery,
) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return (
        sa.func.coalesce(held.c.main, sa.false()),
        sa.func.coalesce(held.c.additional, sa.false()),
    )


def _facts(
    main: sa.ColumnElement[bool],
    additional: sa.ColumnElement[bool],
    author: sa.ColumnElement[bool],
) -> dict[str, sa.ColumnElement[Any]]:
    known = {"main": main, "additional": additional, "author": author, "cover": sa.false()}
    return {f"order.{fact}": known[fact] for fact in FACTS}


def _condition(
    scope: Scope, facts: Mapping[str, sa.ColumnElement[Any]], table: sa.Table
) -> tuple[sa.ColumnElement[bool], ...]:
    if not isinstance(scope, Where):
        return ()
    return (to_sql(scope.condition, {**facts, "order.org_id": table.c.org_id}),)
