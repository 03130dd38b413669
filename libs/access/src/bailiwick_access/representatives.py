"""Who counts as a representative: whom policy lets hold a portfolio, with a membership in force (domain §3).

An assignment of anybody else counts as none: for `unassigned`, coverage, mail and credit. One member is
judged by `counts_as_one`; many, in SQL, by `counting`, with the sets of rights that `holding` found. Nothing
of it is kept: a change of a membership shows as soon as the replica has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller, subject_of

_RIGHTS = ("kind", "mode", "role", "permissions", "ticks", "collections")
"""What of a member decides whether they may hold a portfolio, besides being in force."""


async def counts_as_one(gate: Gate, caller: Caller, subject: Mapping[str, object]) -> bool:
    """Tell whether a member's assignments count, at the instant for which the subject was made.

    Raises:
        PolicyUnavailable: policy did not answer as it should.
    """
    return await gate.is_capable(caller, subject, "customers", "hold")


async def holding(
    connection: AsyncConnection, gate: Gate, caller: Caller, members: sa.Table
) -> Sequence[str]:
    """Return the sets of rights with which members of the caller's organization may hold a portfolio.

    Policy is asked once for each set that members have. It is to be bound as `holding`.

    Raises:
        PolicyUnavailable: policy did not answer as it should.
    """
    key = rights(members)
    statement = (
        sa.select(members, key.label("rights"))
        .ext(distinct_on(key))
        .where(
            members.c.org_id == caller.org_id,
            members.c.status == "active",
            members.c.valid_until > caller.now,
        )
        .order_by(key, members.c.member_id)
    )
    found = (await connection.execute(statement)).mappings().all()
    return [
        row["rights"]
        for row in found
        if await counts_as_one(gate, caller, {**subject_of(row, caller.now), "expired": False})
    ]


def counting(members: sa.Table) -> sa.ColumnElement[bool]:
    """Return whether assignments of the member in a row count. Binds `now` and `holding`."""
    return sa.and_(in_force(members), may_hold(members))


def in_force(members: sa.Table) -> sa.ColumnElement[bool]:
    """Return whether a membership is in force, from its first instant until before its last. Binds `now`."""
    now = sa.bindparam("now", type_=sa.DateTime(timezone=True))
    return sa.and_(
        members.c.status == "active", members.c.valid_from <= now, members.c.valid_until > now
    )


def may_hold(members: sa.Table) -> sa.ColumnElement[bool]:
    """Return whether a member's rights are one of the sets in `holding`, which it binds."""
    return rights(members) == sa.any_(sa.bindparam("holding", type_=sa.ARRAY(sa.Text)))


def rights(members: sa.Table) -> sa.ColumnElement[str]:
    """Return a member's rights as one value to compare."""
    parts = (members.c[name] for name in _RIGHTS)
    return sa.cast(sa.func.jsonb_build_array(*parts, type_=JSONB), sa.Text)
