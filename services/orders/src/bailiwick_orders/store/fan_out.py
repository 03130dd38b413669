"""Writes the visibility of orders that follows from assignments (D11): at once, or in pieces beside.

An act whose customers have `AT_ONCE` orders or fewer is written in the transaction that applies it: who
reads sees all of it or nothing (D18). A larger one would exceed what a statement or a transaction may
take; it is remembered in `fan_outs` and written in pieces (ADR 17). A piece reads the assignments as they
are when it is written, under the customer's lock, so that it can be late and repeated but never wrong;
ends are written before beginnings, so that nobody sees more meanwhile than before and after. Who has lost
a customer reads none of its orders from the first commit on, whatever is written so far (`stale`).
A piece that fails puts its customer off, and delays neither other customers nor other organizations; a
customer whom others have locked is passed over without waiting, and looked at again in the next round.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.customers import AssignmentChanged
from bailiwick_kit.clock import START_OF_TIME
from bailiwick_kit.database.engine import Database
from bailiwick_kit.transient_errors import is_outage
from bailiwick_orders.store.tables import assignments, customers, fan_outs, orders, visibility

log = structlog.get_logger(__name__)

AT_ONCE = 5_000
"""Orders of which the visibility is written within the transaction that applies an act."""
PIECE = 2_000
"""Orders of which the visibility is written in one piece."""
PAUSE = 0.25
"""Seconds between looks at what is left to write, when there was nothing."""
PUT_OFF = 5.0
"""Seconds that a customer waits whose piece failed."""

_ids = sa.ARRAY(sa.Uuid)
_org_id = sa.bindparam("org_id", type_=sa.Uuid)
_assignment_ids = sa.any_(sa.bindparam("assignment_ids", type_=_ids))

_LOCK = (
    sa.select(customers.c.customer_id)
    .where(
        customers.c.org_id == _org_id,
        customers.c.customer_id == sa.any_(sa.bindparam("customer_ids", type_=_ids)),
    )
    .order_by(customers.c.customer_id)
    .with_for_update()
)
_SIZES = (
    sa.select(assignments.c.assignment_id, sa.func.count(orders.c.order_id))
    .join(
        orders,
        sa.and_(
            orders.c.org_id == assignments.c.org_id,
            orders.c.customer_id == assignments.c.customer_id,
        ),
    )
    .where(assignments.c.org_id == _org_id, assignments.c.assignment_id == _assignment_ids)
    .group_by(assignments.c.assignment_id)
)


def _written(of: sa.FromClause) -> sa.Executable:
    """Return what writes visibility from assignments to orders of their customers."""
    touched, held = assignments.alias("touched"), assignments.alias("held")
    # Two assignments may share a visibility row: one cancelled before it began, and its successor.
    # The later end holds, in whatever order the two arrive.
    key = (
        of.c.org_id,
        held.c.member_id,
        of.c.listed_at,
        of.c.order_id,
        held.c.relation,
        held.c.valid_from,
    )
    alike = ("org_id", "customer_id", "member_id", "relation", "valid_from")
    source = (
        sa.select(*key, sa.func.max(held.c.valid_to))
        .join_from(touched, held, sa.and_(*(held.c[name] == touched.c[name] for name in alike)))
        .join(
            of, sa.and_(of.c.org_id == touched.c.org_id, of.c.customer_id == touched.c.customer_id)
        )
        .where(touched.c.org_id == _org_id, touched.c.assignment_id == _assignment_ids)
        .group_by(*key)
    )
    statement = insert(visibility).from_select([c.name for c in visibility.columns], source)
    return statement.on_conflict_do_update(
        index_elements=list(visibility.primary_key.columns),
        set_={"valid_to": statement.excluded.valid_to},
        where=visibility.c.valid_to != statement.excluded.valid_to,
    )


_FAN_OUT = _written(orders)
_LATER = (
    sa.select(orders.c.org_id, orders.c.customer_id, orders.c.listed_at, orders.c.order_id)
    .where(
        orders.c.org_id == _org_id,
        orders.c.customer_id == sa.bindparam("customer_id", type_=sa.Uuid),
        sa.tuple_(orders.c.listed_at, orders.c.order_id)
        > sa.tuple_(
            sa.bindparam("listed_after", type_=sa.DateTime(timezone=True)),
            sa.bindparam("id_after", type_=sa.Uuid),
        ),
    )
    .order_by(orders.c.listed_at, orders.c.order_id)
    .limit(sa.bindparam("piece", type_=sa.Integer))
)
_PIECE = _LATER.subquery("piece")
_FAN_OUT_LATER = _written(_PIECE)
_LAST = (
    sa.select(_PIECE.c.listed_at, _PIECE.c.order_id, sa.func.count().over())
    .order_by(_PIECE.c.listed_at.desc(), _PIECE.c.order_id.desc())
    .limit(1)
)
_FIRST = START_OF_TIME, UUID(int=0)
"""What comes before all orders."""

_ORGANIZATIONS = sa.select(fan_outs.c.org_id).distinct()
_NEXT = (
    sa.select(fan_outs.c.customer_id)
    .join(
        customers,
        sa.and_(
            customers.c.org_id == fan_outs.c.org_id,
            customers.c.customer_id == fan_outs.c.customer_id,
        ),
    )
    .where(
        fan_outs.c.org_id == _org_id,
        fan_outs.c.customer_id != sa.all_(sa.bindparam("put_off", type_=_ids)),
    )
    .order_by(fan_outs.c.begins, fan_outs.c.customer_id, fan_outs.c.assignment_id)
    .limit(1)
    .with_for_update(of=customers, skip_locked=True)
)
"""Locks the customer, as who applies assignments does: first its row, then what hangs on it."""
_FIRST_OF_CUSTOMER = (
    sa.select(fan_outs)
    .where(
        fan_outs.c.org_id == _org_id,
        fan_outs.c.customer_id == sa.bindparam("customer_id", type_=sa.Uuid),
    )
    .order_by(fan_outs.c.begins, fan_outs.c.assignment_id)
    .limit(1)
    .with_for_update()
)
_SHORT_WAIT = sa.text("SET LOCAL lock_timeout = '1s'")
_THE_ONE = sa.and_(
    fan_outs.c.org_id == sa.bindparam("of_org", type_=sa.Uuid),
    fan_outs.c.assignment_id == sa.bindparam("of_assignment", type_=sa.Uuid),
)


async def lock_customers(
    connection: AsyncConnection, org_id: UUID, customer_ids: Collection[UUID]
) -> None:
    """Keep the customers from being ordered for until the transaction ends."""
    await connection.execute(_LOCK, {"org_id": org_id, "customer_ids": sorted(customer_ids)})


async def fan_out(connection: AsyncConnection, events: Sequence[AssignmentChanged]) -> None:
    """Write the visibility that follows from acts of one organization, or remember to, by act."""
    org_id, room = events[0].org_id, AT_ONCE
    ids = list({one.assignment_id for event in events for one in event.assignments})
    found = await connection.execute(_SIZES, {"org_id": org_id, "assignment_ids": ids})
    sizes: Mapping[UUID, int] = {row[0]: row[1] for row in found}
    now: dict[UUID, None] = {}
    later: list[dict[str, Any]] = []
    for event in sorted(events, key=lambda one: _size(one, sizes)):
        if (size := _size(event, sizes)) <= room:
            room -= size
            now |= {
                one.assignment_id: None for one in event.assignments if sizes.get(one.assignment_id)
            }
        else:
            later += [
                {
                    "org_id": org_id,
                    "assignment_id": one.assignment_id,
                    "customer_id": one.customer_id,
                    "begins": one.version == 1,
                }
                for one in event.assignments
                if sizes.get(one.assignment_id)
            ]
    if now:
        await connection.execute(_FAN_OUT, {"org_id": org_id, "assignment_ids": list(now)})
    if later:
        await connection.execute(_REMEMBER, later)


def _size(event: AssignmentChanged, sizes: Mapping[UUID, int]) -> int:
    return sum(sizes.get(one.assignment_id, 0) for one in event.assignments)


def _remembered() -> sa.Executable:
    """Return what remembers an assignment, from its first order on, whatever was written for it before."""
    statement = insert(fan_outs)
    anew = dict.fromkeys(("listed_after", "id_after"))
    return statement.on_conflict_do_update(
        index_elements=list(fan_outs.primary_key.columns),
        set_={**anew, "begins": sa.and_(fan_outs.c.begins, statement.excluded.begins)},
    )


_REMEMBER = _remembered()


@dataclass(frozen=True)
class FanOut:
    """Writes what is remembered, a piece of each organization in turn."""

    database: Database
    piece: int = PIECE
    put_off: dict[tuple[UUID, UUID], float] = field(default_factory=dict, init=False)
    """Organizations' customers of which a piece failed, and until when they wait (monotonic)."""

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            try:
                found = await self.round()
            except Exception as error:  # noqa: BLE001 - a job that stops is an outage: report and go on
                _report(error)
                found = 0
            if not found:
                await asyncio.sleep(PAUSE)

    async def round(self) -> int:
        """Write a piece of each organization; return of how many organizations one was written."""
        async with self.database.reading(None) as connection:
            waiting = (await connection.execute(_ORGANIZATIONS)).scalars().all()
        now = time.monotonic()
        for key in [key for key, until in self.put_off.items() if until <= now]:
            del self.put_off[key]
        return sum([await self._next(org_id) for org_id in waiting])

    async def _next(self, org_id: UUID) -> bool:
        """Write an organization's next piece; return whether there was one and it did not fail."""
        customer_id = None
        put_off = [one for of_org, one in self.put_off if of_org == org_id]
        try:
            async with self.database.writing(org_id) as connection:
                await connection.execute(_SHORT_WAIT)
                found = await connection.execute(_NEXT, {"org_id": org_id, "put_off": put_off})
                customer_id = found.scalar()
                if customer_id is not None:
                    await self._piece(connection, org_id, customer_id)
        except Exception as error:  # noqa: BLE001 - one organization's, which the others do not wait for
            _report(error, org_id=str(org_id))
            if customer_id is not None:
                # The customer, not the assignment: its ends stay before its beginnings.
                self.put_off[org_id, customer_id] = time.monotonic() + PUT_OFF
            return False
        return customer_id is not None

    async def _piece(self, connection: AsyncConnection, org_id: UUID, customer_id: UUID) -> None:
        """Write the next piece of a customer that we have locked, where there still is one."""
        its = {"org_id": org_id, "customer_id": customer_id}
        found = await connection.execute(_FIRST_OF_CUSTOMER, its)
        if (one := found.mappings().first()) is None:
            return
        the_one = {"of_org": org_id, "of_assignment": one["assignment_id"]}
        bound = {
            **its,
            "assignment_ids": [one["assignment_id"]],
            "piece": self.piece,
            "listed_after": one["listed_after"] or _FIRST[0],
            "id_after": one["id_after"] or _FIRST[1],
        }
        await connection.execute(_FAN_OUT_LATER, bound)
        last = (await connection.execute(_LAST, bound)).first()
        if last is None or last[2] < self.piece:
            await connection.execute(fan_outs.delete().where(_THE_ONE), the_one)
        else:
            reached = {"listed_after": last[0], "id_after": last[1]}
            await connection.execute(fan_outs.update().where(_THE_ONE), {**the_one, **reached})


def _report(error: Exception, **of: str) -> None:
    if is_outage(error):
        log.warning("fan_out.interrupted", error=type(error).__name__, **of)
    else:
        log.error("fan_out.failed", exc_info=error, **of)
