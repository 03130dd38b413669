"""Reading customers: always through what the caller may see, never around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access import representatives
from bailiwick_access.assignments import relation_state
from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.requests import Reading
from bailiwick_access.visibility import FACTS, Listed, after_key
from bailiwick_customers.domain.assignment import Assignment
from bailiwick_customers.domain.customer import Customer, Status
from bailiwick_customers.domain.views import Filters, Found, LookedUp, Representative, Shown
from bailiwick_customers.store.rows import to_assignment, to_customer
from bailiwick_customers.store.searching import EVERYTHING, Shape, Sought, find, narrowed
from bailiwick_customers.store.tables import assignments, customers, members, visibility
from bailiwick_kit.database.engine import plan_for_values
from bailiwick_kit.policy.scope import Scope
from bailiwick_kit.text.search import place_of

LISTED = Listed(entity="customer", table=customers, visibility=visibility, columns=("status",))

_UNSHOWN = {"search", "words", "looked_up_words", "words_version", "seq"}
_SHOWN = [column for column in customers.columns if column.name not in _UNSHOWN]
"""What a list reads: not what customers are searched by."""


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
        found = await _found(reading, scope, filters.text)
        if found is None:
            return []
        statement = _page(scope, _but_text(filters), found.shape, is_first=after is None)
        if statement is None:
            return []
        bound = {
            **Who.of(reading.caller).bound,
            **found.bound,
            **after_key(after),
            "holding": holding,
            "limit": limit,
        }
        if filters != Filters():
            await plan_for_values(reading.connection)
        rows = await reading.connection.execute(statement, bound)
        return await self.shown(reading, [to_customer(row) for row in rows.mappings()])

    async def count(
        self, reading: Reading, scope: Scope, filters: Filters, holding: Sequence[str]
    ) -> int:
        """Return exactly how many there are (D13)."""
        found = await _found(reading, scope, filters.text)
        if found is None:
            return 0
        statement = _count(scope, _but_text(filters), found.shape)
        if statement is None:
            return 0
        bound = {**Who.of(reading.caller).bound, **found.bound, "holding": holding}
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
        limit: int,
        after: tuple[datetime, UUID] | None,
    ) -> list[LookedUp]:
        """Return up to `limit` customers to order for, newest first."""
        found = await _found(reading, scope, text, looks_up=True)
        rows = LISTED.rows(scope, is_first=after is None)
        if rows is None or found is None:
            return []
        statement = narrowed(rows, found.shape).limit(limit)
        if code is not None:
            statement = statement.where(customers.c.code == code)
        if customer_id is not None:
            statement = statement.where(customers.c.customer_id == customer_id)
        await plan_for_values(reading.connection)
        names = LookedUp.__dataclass_fields__
        bound = {**Who.of(reading.caller).bound, **found.bound, **after_key(after)}
        looked_up = await reading.connection.execute(
            statement.with_only_columns(*customers.c[*names]), bound
        )
        return [LookedUp(**row) for row in looked_up.mappings()]

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
        statement = sa.select(members).where(
            members.c.org_id == reading.caller.org_id,
            members.c.status == "active",
            members.c.valid_until > reading.caller.now,
            representatives.may_hold(members),
        )
        bound = {"holding": await self.holding(reading, gate)}
        found = (await reading.connection.execute(statement, bound)).mappings()
        names = Representative.__dataclass_fields__
        rows = [Representative(**{name: row[name] for name in names}) for row in found]
        return sorted(rows, key=lambda one: (place_of(one.name), one.member_id))


async def _found(
    reading: Reading, scope: Scope, text: str | None, *, looks_up: bool = False
) -> Sought | None:
    """Return how to find what is searched for, if anything is; None if there is no such customer."""
    if text is None:
        return EVERYTHING
    return await find(
        reading.connection,
        reading.caller.org_id,
        text,
        looks_up=looks_up,
        in_portfolio=LISTED.reads_visibility(scope),
    )


def _but_text(filters: Filters) -> Filters:
    """Return the filters whose values are part of the statement: a text is bound."""
    return replace(filters, text=None)


@lru_cache(maxsize=1024)
def _page(scope: Scope, filters: Filters, shape: Shape, *, is_first: bool) -> sa.Select[Any] | None:
    rows = LISTED.rows(scope, is_first=is_first)
    if rows is None:
        return None
    found = narrowed(rows.where(*_narrowed(filters)), shape).with_only_columns(*_SHOWN)
    return found.limit(sa.bindparam("limit", type_=sa.Integer))


@lru_cache(maxsize=1024)
def _count(scope: Scope, filters: Filters, shape: Shape) -> sa.Select[int] | None:
    if filters == Filters() and shape is Shape.NOTHING:
        return LISTED.count(scope)
    rows = LISTED.rows(scope)
    if rows is None:
        return None
    found = narrowed(rows.where(*_narrowed(filters)), shape)
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
    parents = {customer.parent_id for customer in found if customer.parent_id is not None}
    related = await relations(connection, who, parents)
    return [
        Shown(
            customer,
            mains.get(customer.customer_id),
            tuple(additionals.get(customer.customer_id, ())),
            related.get(customer.parent_id, frozenset()),
        )
        for customer in found
    ]


async def relations(
    connection: AsyncConnection, who: Who, ids: AbstractSet[UUID]
) -> Mapping[UUID | None, AbstractSet[str]]:
    """Return how somebody stands to those of the customers to which they stand in any way."""
    found: dict[UUID | None, set[str]] = {}
    if ids:
        rows = await connection.execute(_RELATIONS, {**who.bound, "ids": list(ids)})
        for customer_id, relation in rows:
            found.setdefault(customer_id, set()).add(relation)
    return found


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

_RELATION_STATE = relation_state(assignments, customers)

_ONE = LISTED.one().add_columns(_RELATION_STATE.label("relation_state"))
_FACTS = _ONE.with_only_columns(
    *customers.c["org_id", "status"],
    *(_ONE.selected_columns[f"fact_{fact}"] for fact in FACTS),
    _RELATION_STATE.label("relation_state"),
)

_RELATIONS = sa.select(visibility.c.customer_id, visibility.c.relation).where(
    visibility.c.org_id == sa.bindparam("org_id"),
    visibility.c.member_id == sa.bindparam("member_id"),
    visibility.c.customer_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))),
    _valid_now(visibility),
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
