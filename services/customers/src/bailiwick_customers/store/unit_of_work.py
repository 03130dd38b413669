"""One transaction over customers: rows, visibility, events and audit commit together, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.caller import Caller, Callers, subject_of
from bailiwick_contracts.customers import AssignmentChanged
from bailiwick_customers.domain.assignment import Assignment, Changeset
from bailiwick_customers.domain.customer import Customer
from bailiwick_customers.domain.errors import MainOverlap
from bailiwick_customers.domain.views import Found, Shown
from bailiwick_customers.store import searching, tables
from bailiwick_customers.store.queries import Who, facts_of, one, relations, shown
from bailiwick_customers.store.rows import (
    assignment_part,
    assignment_row,
    customer_event,
    customer_row,
    to_assignment,
)
from bailiwick_kit import crash_points
from bailiwick_kit.bus.outbox import record
from bailiwick_kit.clock import END_OF_TIME, Clock, SystemClock
from bailiwick_kit.database import audit
from bailiwick_kit.database.engine import Database
from bailiwick_kit.replication.change_counter import next_numbers
from bailiwick_kit.telemetry.trace import trace_parent
from bailiwick_kit.web.idempotency import Claim, IdempotencyKeys, Replay

_KEYS = IdempotencyKeys(tables.idempotency_keys)
_CALLERS = Callers(tables.members, tables.organizations)

_touched, _held = tables.assignments.alias("touched"), tables.assignments.alias("held")
_VISIBLE_THROUGH = (
    sa.select(
        *_held.c["org_id", "member_id"],
        tables.customers.c.listed_at,
        *_held.c["customer_id", "relation", "valid_from"],
        sa.func.max(_held.c.valid_to),
    )
    .join_from(
        _touched,
        _held,
        sa.and_(
            *(
                _held.c[name] == _touched.c[name]
                for name in ("org_id", "customer_id", "member_id", "relation", "valid_from")
            )
        ),
    )
    .join(
        tables.customers,
        sa.and_(
            tables.customers.c.org_id == _touched.c.org_id,
            tables.customers.c.customer_id == _touched.c.customer_id,
        ),
    )
    .where(
        _touched.c.org_id == sa.bindparam("org_id", type_=sa.Uuid),
        _touched.c.assignment_id
        == sa.any_(sa.bindparam("assignment_ids", type_=sa.ARRAY(sa.Uuid))),
    )
    .group_by(
        *_held.c["org_id", "member_id"],
        tables.customers.c.listed_at,
        *_held.c["customer_id", "relation", "valid_from"],
    )
)
"""The visibility rows that follow from assignments (D11); of two that share one, the later end holds."""

_SHORTEN = (
    tables.assignments.update()
    .where(
        tables.assignments.c.org_id == sa.bindparam("of_org"),
        tables.assignments.c.assignment_id == sa.bindparam("of_id"),
        tables.assignments.c.valid_to > sa.bindparam("new_end"),
    )
    .values(valid_to=sa.bindparam("new_end"))
)


_LOCK = (
    sa.select(sa.literal(1))
    .select_from(tables.customers)
    .where(
        tables.customers.c.org_id == sa.bindparam("org_id"),
        tables.customers.c.customer_id == sa.bindparam("id"),
    )
    .with_for_update()
)


def _is_above() -> sa.Select[bool]:
    table = tables.customers
    org_id = sa.bindparam("org_id", type_=sa.Uuid)
    line = sa.select(sa.bindparam("id", type_=sa.Uuid).label("customer_id")).cte(
        "line", recursive=True
    )
    parents = sa.select(table.c.parent_id).join_from(
        line, table, sa.and_(table.c.org_id == org_id, table.c.customer_id == line.c.customer_id)
    )
    # `union` and not `union_all`: it ends in a circle too, should one be stored.
    line = line.union(parents.where(table.c.parent_id.is_not(None)))
    return sa.select(sa.exists().where(line.c.customer_id == sa.bindparam("above", type_=sa.Uuid)))


_IS_ABOVE = _is_above()


class Customers:
    """Customers of one organization, in one transaction."""

    def __init__(self, connection: AsyncConnection, org_id: UUID) -> None:
        self._connection = connection
        self._org_id = org_id

    async def facts(
        self, customer_id: UUID, member_id: UUID, now: datetime
    ) -> Mapping[str, object] | None:
        """Return what policy is told of a customer and a member. It takes as long where there is none."""
        return await facts_of(self._connection, Who(self._org_id, member_id, now), customer_id)

    async def lock(self, customer_id: UUID) -> None:
        """Keep the customer, if there is one, from changing until the end.

        A statement of its own: one that waits and reads would see the assignments of before its wait.
        """
        await self._connection.execute(_LOCK, {"org_id": self._org_id, "id": customer_id})

    async def one(self, customer_id: UUID, member_id: UUID, now: datetime) -> Found | None:
        """Return the customer, with how a member stands to it at an instant."""
        return await one(self._connection, Who(self._org_id, member_id, now), customer_id)

    async def is_above(self, customer_id: UUID, other_id: UUID) -> bool:
        """Tell whether the customer is the other one, its parent, its parent's parent and so on."""
        bound = {"org_id": self._org_id, "id": other_id, "above": customer_id}
        return bool(await self._connection.scalar(_IS_ABOVE, bound))

    async def relations(self, customer_id: UUID, caller: Caller) -> AbstractSet[str]:
        """Return how the caller stands to a customer."""
        found = await relations(self._connection, Who.of(caller), {customer_id})
        return found.get(customer_id, frozenset())

    async def shown(self, customer: Customer, member_id: UUID, at: datetime) -> Shown:
        """Return a customer of this transaction as a reader gets it who may view it, at an instant."""
        [found] = await shown(self._connection, Who(self._org_id, member_id, at), [customer])
        return found

    async def add(self, customer: Customer) -> None:
        """Write a new customer, that its creator made it, and tell the bus."""
        seq = await self._number()
        row = customer_row(customer)
        await self._connection.execute(tables.customers.insert().values(**row, seq=seq))
        await searching.index(self._connection, [row])
        await self._connection.execute(tables.visibility.insert().values(**author_row(customer)))
        await self._tell(customer, seq)

    async def save(self, customer: Customer, *, bulk: bool = False) -> None:
        """Write a changed customer and tell the bus; `bulk` goes beside what people do now (ADR 15)."""
        key = (customer.org_id, customer.customer_id)
        before = await searching.words_before(self._connection, *key)
        seq = await self._number()
        table, row = tables.customers, customer_row(customer)
        await self._connection.execute(
            table.update()
            .where(table.c.org_id == key[0], table.c.customer_id == key[1])
            .values(**row, seq=seq)
        )
        await searching.index_again(self._connection, row, before)
        await self._tell(customer, seq, bulk=bulk)

    async def is_code_taken(self, code: str) -> bool:
        """Tell whether the organization has a customer of that code."""
        table = tables.customers
        statement = sa.select(sa.literal(1)).where(
            table.c.org_id == self._org_id, table.c.code == code
        )
        return (await self._connection.execute(statement)).first() is not None

    async def _number(self) -> int:
        return (await next_numbers(self._connection, tables.change_counters, self._org_id)).start

    async def _tell(self, customer: Customer, seq: int, *, bulk: bool = False) -> None:
        await record(
            self._connection,
            tables.outbox,
            [customer_event(customer, seq)],
            trace_parent=trace_parent(),
            bulk=bulk,
        )


class Assignments:
    """Assignments of one organization, in one transaction."""

    def __init__(self, connection: AsyncConnection, org_id: UUID) -> None:
        self._connection = connection
        self._org_id = org_id

    async def of(self, customer_id: UUID) -> Sequence[Assignment]:
        """Return all assignments of a customer, ended ones included."""
        table = tables.assignments
        found = await self._connection.execute(
            sa.select(table)
            .where(table.c.org_id == self._org_id, table.c.customer_id == customer_id)
            .order_by(table.c.valid_from, table.c.assignment_id)
        )
        return [to_assignment(row) for row in found.mappings()]

    async def write(self, changeset: Changeset, *, imported: bool = False) -> None:
        """Write what an act changed, with the visibility that follows, and tell the bus.

        Raises:
            MainOverlap: the database holds that there would be two mains at once (D26).
        """
        numbers = await next_numbers(self._connection, tables.change_counters, self._org_id)
        seq = numbers.start
        await self._upsert(changeset.assignments, seq)
        await self._make_visible(changeset.assignments)
        await record(
            self._connection,
            tables.outbox,
            [
                AssignmentChanged(
                    org_id=self._org_id,
                    version=1,
                    seq=seq,
                    changeset_id=changeset.changeset_id,
                    assignments=tuple(assignment_part(one) for one in changeset.assignments),
                    imported=imported,
                )
            ],
            trace_parent=trace_parent(),
            bulk=imported,
        )

    async def _upsert(self, assignments: Sequence[Assignment], seq: int) -> None:
        # The constraint against two mains looks at each row as it comes: what gives time goes first.
        shorter = [
            {"of_org": self._org_id, "of_id": one.assignment_id, "new_end": one.valid_to}
            for one in assignments
            if one.version > 1
        ]
        if shorter:
            await self._connection.execute(_SHORTEN, shorter)
        rows = [{**assignment_row(assignment), "seq": seq} for assignment in assignments]
        statement = insert(tables.assignments)
        keys = ("org_id", "assignment_id")
        changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        try:
            await self._connection.execute(
                statement.on_conflict_do_update(index_elements=list(keys), set_=changed).inline(),
                rows,
            )
        except IntegrityError as error:
            if "assignments_one_main" in str(error.orig):
                raise MainOverlap("Read the customer's assignments again.") from None
            raise

    async def _make_visible(self, assignments: Sequence[Assignment]) -> None:
        visible = tables.visibility
        statement = insert(visible).from_select(
            [column.name for column in visible.columns], _VISIBLE_THROUGH
        )
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(visible.primary_key.columns),
                set_={"valid_to": statement.excluded.valid_to},
            ),
            {
                "org_id": self._org_id,
                "assignment_ids": [assignment.assignment_id for assignment in assignments],
            },
        )


def author_row(customer: Customer) -> dict[str, Any]:
    """Return the visibility row that says who made a customer; it never ends (D11)."""
    return {
        "org_id": customer.org_id,
        "member_id": customer.created_by,
        "listed_at": customer.created_at,
        "customer_id": customer.customer_id,
        "relation": "author",
        "valid_from": customer.created_at,
        "valid_to": END_OF_TIME,
    }


class Members:
    """The members of one organization, as this service knows them."""

    def __init__(self, connection: AsyncConnection, org_id: UUID) -> None:
        self._connection = connection
        self._org_id = org_id

    async def subject(self, member_id: UUID, now: datetime) -> Mapping[str, object] | None:
        """Return what policy is told of a member."""
        table = tables.members
        found = await self._connection.execute(
            sa.select(table).where(table.c.org_id == self._org_id, table.c.member_id == member_id)
        )
        row = found.mappings().first()
        return None if row is None else subject_of(row, now)


class Unit:
    """One transaction in one organization."""

    def __init__(self, connection: AsyncConnection, org_id: UUID, clock: Clock) -> None:
        self._connection = connection
        self._org_id = org_id
        self._clock = clock
        self._now = clock.now()
        self.customers = Customers(connection, org_id)
        self.assignments = Assignments(connection, org_id)
        self.members = Members(connection, org_id)

    @property
    def now(self) -> datetime:
        """The transaction's now (D7): its beginning, or its last turn."""
        return self._now

    async def turn(self) -> datetime:
        """Wait until no other change of the organization is being written; return the instant then."""
        await next_numbers(self._connection, tables.change_counters, self._org_id, 0)
        self._now = self._clock.now()
        return self._now

    async def again(self, caller: Caller) -> Caller:
        """Wait for one's turn; return the caller as of then, with the rights that hold then."""
        return await _CALLERS.again(self._connection, caller, await self.turn())

    async def earlier(self, claim: Claim | None) -> Replay | None:
        """Return what the same request did before; keeps a second one out until this one ends."""
        if claim is None:
            return None
        return await _KEYS.claim(self._connection, claim, now=self._now)

    async def remember(self, claim: Claim | None, entity_id: UUID) -> None:
        """Keep what this request made, for its repetition."""
        if claim is not None:
            done = Replay(entity_id)
            await _KEYS.record(self._connection, claim, done, now=self._now)

    async def note(
        self,
        action: str,
        member_id: UUID,
        entity_id: UUID,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Add to the audit trail."""
        await audit.note(
            self._connection,
            tables.audit,
            org_id=self._org_id,
            at=self._now,
            member_id=member_id,
            action=action,
            entity_id=entity_id,
            details=details,
        )


class OpenUnit:
    """Opens transactions on a database."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    @asynccontextmanager
    async def __call__(self, org_id: UUID) -> AsyncIterator[Unit]:
        """Open a transaction; it commits on a clean exit."""
        async with self._database.writing(org_id) as connection:
            yield Unit(connection, org_id, self._clock)
            crash_points.reach("action.before-commit")
        crash_points.reach("action.after-commit")
