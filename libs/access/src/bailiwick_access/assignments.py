"""The replica of assignments, and how a member stands to customers by it: in SQL, at an instant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.customers import AssignmentChanged

_instant = sa.DateTime(timezone=True)


def assignments_table(metadata: sa.MetaData) -> sa.Table:
    """Declare the replica of assignments."""
    return sa.Table(
        "assignments",
        metadata,
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("assignment_id", sa.Uuid, primary_key=True),
        sa.Column("customer_id", sa.Uuid, nullable=False),
        sa.Column("member_id", sa.Uuid, nullable=False),
        sa.Column("relation", sa.Text, nullable=False),
        sa.Column("valid_from", _instant, nullable=False),
        sa.Column("valid_to", _instant, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Index("assignments_customer", "org_id", "customer_id", "member_id"),
        comment="Replica of customers' assignments.",
    )


async def write_assignments(
    connection: AsyncConnection, assignments: sa.Table, events: Sequence[AssignmentChanged]
) -> Sequence[UUID]:
    """Write acts' assignments, unless a higher version of one is there; return their ids."""
    rows = [row for event in events for row in assignment_rows(event)]
    if rows:
        new = insert(assignments)
        keys = list(assignments.primary_key.columns)
        # Of an assignment only its end and version ever change: whose it is, and from when, is fixed.
        statement = new.on_conflict_do_update(
            index_elements=keys,
            set_={name: new.excluded[name] for name in ("valid_to", "version", "seq")},
            where=assignments.c.version <= new.excluded.version,
        )
        await connection.execute(statement, rows)
    return list(dict.fromkeys(row["assignment_id"] for row in rows))


def assignment_rows(event: AssignmentChanged) -> list[dict[str, Any]]:
    """Return an act's assignments as the replica has them."""
    return [
        {**one.model_dump(exclude={"origin"}), "org_id": event.org_id, "seq": event.seq}
        for one in event.assignments
    ]


def held_now(assignments: sa.Table) -> sa.Subquery:
    """Return the customers that a member holds: `customer_id`, `main`, `additional`.

    Binds `org_id`, `member_id` and `now`.
    """
    relation = assignments.c.relation
    facts: list[sa.Label[Any]] = [
        sa.func.bool_or(relation == fact, type_=sa.Boolean).label(fact)
        for fact in ("main", "additional")
    ]
    return (
        sa.select(assignments.c.customer_id, *facts)
        .where(
            assignments.c.org_id == sa.bindparam("org_id", type_=sa.Uuid),
            assignments.c.member_id == sa.bindparam("member_id", type_=sa.Uuid),
            assignments.c.valid_from <= sa.bindparam("now", type_=_instant),
            assignments.c.valid_to > sa.bindparam("now", type_=_instant),
        )
        .group_by(assignments.c.customer_id)
        .subquery("held")
    )


def relation_state(assignments: sa.Table, of: sa.FromClause) -> sa.ColumnElement[str]:
    """Return how a member has stood to the customer of a row: `relation_facts` says the same in Python.

    `of` has `org_id` and `customer_id`. Binds `member_id` and `now`.
    """
    now = sa.bindparam("now", type_=_instant)
    mine = sa.and_(
        assignments.c.org_id == of.c.org_id,
        assignments.c.customer_id == of.c.customer_id,
        assignments.c.member_id == sa.bindparam("member_id", type_=sa.Uuid),
        assignments.c.valid_from < assignments.c.valid_to,
    )
    is_now = sa.and_(assignments.c.valid_from <= now, assignments.c.valid_to > now)
    return sa.case(
        (sa.exists().where(mine, is_now), "current"),
        (sa.exists().where(mine, assignments.c.valid_to <= now), "ended"),
        (sa.exists().where(mine), "future"),
        else_="none",
    )
