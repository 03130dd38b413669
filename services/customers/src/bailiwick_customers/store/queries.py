"""Reading customers: always through what the caller may see, never around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access import representatives
from bailiwick_access.caller import Caller
from bailiwick_access.gate import Gate
from bailiwick_access.requests import Reading
from bailiwick_access.visibility import FACTS, Listed, after_key
from bailiwick_customers.actions.ports import Filters, Found, LookedUp, Representative, Shown
from bailiwick_customers.domain.assignment import Assignment
from bailiwick_customers.domain.customer import Customer, Status
from bailiwick_customers.store.rows import folded, to_assignment, to_customer
from bailiwick_customers.store.tables import assignments, customers, members, visibility
from bailiwick_kit.database import plan_for_values
from bailiwick_kit.scope import Scope

LISTED = Listed(entity="customer", table=customers, visibility=visibility, columns=("status",))


@dataclass(frozen=True)
class Who:
    """For whom, and for which instant, is read."""

    org_id: UUID
    member_id: UUID
    now: datetime

    @classmethod
    def of(cls, caller: Caller) -> Who:
        """Read for a caller, at their instant."""
        return cls(caller.org_id, caller.member_id, caller.now)

    @property
    def bound(self) -> dict[str, object]:
        """The parameters that every statement here binds."""
        return {"org_id": self.org_id, "member_id": self.member_id, "now": self.now}


class CustomerQueries:
    """Reads customers through what a caller may see."""

    async def page(
        self,
        reading: Reading,
        scope: Scope,
        filters: Filters,
        holding: Sequence[str],
        *,
        limit: int,
        after: tuple[datetime, UUID] | None,
    ) -> list[Shown]:
        """Return up to `limit` customers, newest first."""
        statement = _page(scope, filters, is_first=after is None)
        if statement is None:
            return []
        bound = {
            **Who.of(reading.caller).bound,
            **after_key(after),
            "holding": holding,
            "limit": limit,
        }
        if filters != Filters():
            await plan_for_values(reading.connection)
        found = await reading.connection.execute(statement, bound)
        return await self.shown(reading, [to_customer(row) for row in found.mappings()])

    async def count(
        self, reading: Reading, scope: Scope, filters: Filters, holding: Sequence[str]
    ) -> int:
        """Return exactly how many there are (D13)."""
        statement = _count(scope, filters)
        if statement is None:
            return 0
        bound = {**Who.of(reading.caller).bound, "holding": holding}
        await plan_for_values(reading.connection)
        return int((await reading.connection.execute(statement, bound)).scalar_one())

    async def holding(self, reading: Reading, gate: Gate) -> Sequence[str]:
        """Return the sets of rights with which a member's assignments count."""
        return await representatives.holding(reading.connection, gate, reading.caller, members)

    async def facts(self, reading: Reading, customer_id: UUID) -> Mapping[str, object] | None:
        """Return what policy is told of a customer and the caller. It takes as long where there is none."""
        return await facts_of(reading.connection, Who.of(reading.caller), customer_id)

    async def one(self, reading: Reading, customer_id: UUID) -> Customer | None:
        """Return a customer that the caller may view."""
        found = await one(reading.connection, Who.of(reading.caller), customer_id)
        return found.customer if found else None

    async def shown(self, reading: Reading, found: Sequence[Customer]) -> list[Shown]:
        """Return customers that the caller may view, as a reader gets them."""
        return await shown(reading.connection, Who.of(reading.caller), found)

    async def look_up(
        self,
        reading: Reading,
        scope: Scope,
        *,
        text: str | None,
        code: str | None,
        customer_id: UUID | None,
    ) -> list[LookedUp]:
        """Return customers to order for, at most twenty, by name."""
        rows = LISTED.rows(scope)
        if rows is None:
            return []
        statement = (
            rows.order_by(None).order_by(customers.c.search, customers.c.customer_id).limit(20)
        )
        if text is not None:
            statement = statement.where(customers.c.search.contains(folded(text), autoescape=True))
        if code is not None:
            statement = statement.where(customers.c.code == code)
        if customer_id is not None:
            statement = statement.where(customers.c.customer_id == customer_id)
        await plan_for_values(reading.connection)
        found = await reading.connection.execute(statement, Who.of(reading.caller).bound)
        return [
            LookedUp(row["customer_id"], row["name"], row["city"], row["country"])
            for row in found.mappings()
        ]

    async def history(self, reading: Reading, customer_id: UUID) -> list[Assignment]:
        """Return all assignments of a customer, latest first."""
        statement = (
            sa.select(assignments)
            .where(
                assignments.c.org_id == reading.caller.org_id,
                assignments.c.customer_id == customer_id,
            )
            .order_by(assignments.c.valid_from.desc(), assignments.c.assignment_id.desc())
        )
        found = await reading.connection.execute(statement)
        return [to_assignment(row) for row in found.mappings()]

    async def representatives(self, reading: Reading, gate: Gate) -> list[Representative]:
        """Return the members who may have customers, now or from a day to come, by name."""
        statement = (
            sa.select(members)
            .where(
                members.c.org_id == reading.caller.org_id,
                members.c.status == "active",
                members.c.valid_until > reading.caller.now,
                representatives.may_hold(members),
            )
            .order_by(members.c.name, members.c.member_id)
        )
        bound = {"holding": await self.holding(reading, gate)}
        found = (await reading.connection.execute(statement, bound)).mappings()
        names = Representative.__dataclass_fields__
        return [Representative(**{name: row[name] for name in names}) for row in found]


@lru_cache(maxsize=1024)
def _page(scope: Scope, filters: Filters, *, is_first: bool) -> sa.Select[Any] | None:
    rows = LISTED.rows(scope, is_first=is_first)
    if rows is None:
        return None
    return rows.where(*_narrowed(filters)).limit(sa.bindparam("limit", type_=sa.Integer))


@lru_cache(maxsize=1024)
def _count(scope: Scope, filters: Filters) -> sa.Select[int] | None:
    if filters == Filters():
        return LISTED.count(scope)
    rows = LISTED.rows(scope)
    if rows is None:
        return None
    found = rows.where(*_narrowed(filters))
    return LISTED.counted(found.with_only_columns(customers.c.customer_id))


async def shown(connection: AsyncConnection, who: Who, found: Sequence[Customer]) -> list[Shown]:
    """Return customers that somebody may view, as a reader gets them."""
    if not found:
        return []
    ids = [customer.customer_id for customer in found]
    rows = await connection.execute(_REPRESENTATIVES, {**who.bound, "ids": ids})
    mains: dict[UUID, UUID] = {}
    additionals: dict[UUID, list[UUID]] = {}
    for customer_id, member_id, relation in rows:
        if relation == "main":
            mains[customer_id] = member_id
        else:
            additionals.setdefault(customer_id, []).append(member_id)
    seen = await represented(connection, who, {customer.parent_id for customer in found})
    return [
        Shown(
            customer,
            mains.get(customer.customer_id),
            tuple(additionals.get(customer.customer_id, ())),
            customer.parent_id in seen,
        )
        for customer in found
    ]


async def represented(
    connection: AsyncConnection, who: Who, ids: AbstractSet[UUID | None]
) -> AbstractSet[UUID]:
    """Return which of the customers somebody represents, main or additional."""
    wanted = [one for one in ids if one is not None]
    if not wanted:
        return frozenset()
    found = await connection.execute(_REPRESENTATIVES, {**who.bound, "ids": wanted})
    return {customer_id for customer_id, member_id, _ in found if member_id == who.member_id}


async def facts_of(
    connection: AsyncConnection, who: Who, customer_id: UUID
) -> Mapping[str, object] | None:
    """Return what policy is told of a customer and a member. It takes as long where there is none."""
    found = await connection.execute(_FACTS, {**who.bound, "id": customer_id})
    row = found.mappings().first()
    return None if row is None else _facts(row)


def _facts(row: RowMapping) -> Mapping[str, object]:
    return {
        "org_id": str(row["org_id"]),
        "status": row["status"],
        "relation_state": row["relation_state"],
        **{fact: row[f"fact_{fact}"] for fact in FACTS},
    }


async def one(connection: AsyncConnection, who: Who, customer_id: UUID) -> Found | None:
    """Return a customer with the caller's facts, to be decided on."""
    found = await connection.execute(_ONE, {**who.bound, "id": customer_id})
    row = found.mappings().first()
    if row is None:
        return None
    return Found(to_customer(row), _facts(row))


def _narrowed(filters: Filters) -> Iterable[sa.ColumnElement[bool]]:
    if filters.rep is not None:
        yield _represented_by(filters.rep, ("main",))
    if filters.any_rep is not None:
        yield _represented_by(filters.any_rep, ("main", "additional"))
    if filters.unassigned is not None:
        yield customers.c.status != Status.SUSPENDED  # neither covered nor uncovered (domain §3)
        yield ~_COVERED if filters.unassigned else _COVERED
    if filters.country is not None:
        yield customers.c.country == filters.country
    if filters.status is not None:
        yield customers.c.status == filters.status
    if filters.text is not None:
        yield customers.c.search.contains(folded(filters.text), autoescape=True)


def _valid_now(table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(
        table.c.valid_from <= sa.bindparam("now"), table.c.valid_to > sa.bindparam("now")
    )


def _represented_by(member_id: UUID, relations: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        assignments.c.org_id == customers.c.org_id,
        assignments.c.customer_id == customers.c.customer_id,
        assignments.c.member_id == member_id,
        assignments.c.relation.in_(relations),
        _valid_now(assignments),
    )


_COVERED = sa.exists().where(
    assignments.c.org_id == customers.c.org_id,
    assignments.c.customer_id == customers.c.customer_id,
    assignments.c.relation == "main",
    _valid_now(assignments),
    members.c.org_id == assignments.c.org_id,
    members.c.member_id == assignments.c.member_id,
    representatives.counting(members),
)

_mine = sa.and_(
    assignments.c.org_id == customers.c.org_id,
    assignments.c.customer_id == customers.c.customer_id,
    assignments.c.member_id == sa.bindparam("member_id"),
    assignments.c.valid_from < assignments.c.valid_to,
)
_RELATION_STATE = sa.case(
    (sa.exists().where(_mine, _valid_now(assignments)), "current"),
    (sa.exists().where(_mine, assignments.c.valid_to <= sa.bindparam("now")), "ended"),
    (sa.exists().where(_mine), "future"),
    else_="none",
)

_ONE = LISTED.one().add_columns(_RELATION_STATE.label("relation_state"))
_FACTS = _ONE.with_only_columns(
    *customers.c["org_id", "status"],
    *(_ONE.selected_columns[f"fact_{fact}"] for fact in FACTS),
    _RELATION_STATE.label("relation_state"),
)

_REPRESENTATIVES = (
    sa.select(assignments.c.customer_id, assignments.c.member_id, assignments.c.relation)
    .where(
        assignments.c.org_id == sa.bindparam("org_id"),
        assignments.c.customer_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))),
        _valid_now(assignments),
    )
    .order_by(assignments.c.valid_from, assignments.c.assignment_id)
)
