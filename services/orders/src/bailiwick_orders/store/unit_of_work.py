"""One transaction over orders: order, visibility, event and audit commit together, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_access.caller import Caller, Callers, subject_of
from bailiwick_kit import crash_points
from bailiwick_kit.clock import Clock, SystemClock
from bailiwick_kit.database.engine import Database
from bailiwick_kit.web.idempotency import Claim, IdempotencyKeys, Replay
from bailiwick_orders.domain.change import Change, FoundCustomer, FoundOrder
from bailiwick_orders.domain.errors import NumberTaken
from bailiwick_orders.domain.order import Order
from bailiwick_orders.domain.representation import Representation
from bailiwick_orders.store import statements, tables
from bailiwick_orders.store.queries import order_facts
from bailiwick_orders.store.representation import representations
from bailiwick_orders.store.rows import to_customer, to_order
from bailiwick_orders.store.tables import customers, members, orders

_KEYS = IdempotencyKeys(tables.idempotency_keys)
_CALLERS = Callers(tables.members, tables.organizations)

_CUSTOMER = sa.select(customers).where(
    customers.c.org_id == sa.bindparam("org_id", type_=sa.Uuid),
    customers.c.customer_id == sa.bindparam("customer_id", type_=sa.Uuid),
)
# FOR SHARE: nobody reassigns the customer before this commits (store.replica says why).
_LOCKED_CUSTOMER = _CUSTOMER.with_for_update(read=True)

_locked_order = (
    sa.select(orders)
    .where(
        orders.c.org_id == sa.bindparam("org_id", type_=sa.Uuid),
        orders.c.order_id == sa.bindparam("order_id", type_=sa.Uuid),
    )
    .with_for_update()
    .cte("locked")
)
_ORDER = (
    sa.select(
        _locked_order,
        *(
            column.label(f"replica_{column.name}")
            for column in customers.c["org_id", "customer_id", "name", "status", "created_by"]
        ),
    )
    .join_from(
        _locked_order,
        customers,
        sa.and_(
            customers.c.org_id == _locked_order.c.org_id,
            customers.c.customer_id == _locked_order.c.customer_id,
        ),
    )
    .with_for_update(read=True, of=customers)
)

_MEMBER = sa.select(members).where(
    members.c.org_id == sa.bindparam("org_id", type_=sa.Uuid),
    members.c.member_id == sa.bindparam("member_id", type_=sa.Uuid),
)


class Unit:
    """One transaction in one organization."""

    def __init__(
        self, connection: AsyncConnection, org_id: UUID, now: datetime, clock: Clock
    ) -> None:
        self._connection = connection
        self._org_id = org_id
        self._now = now
        self._clock = clock

    async def customer_facts(
        self, customer_id: UUID, member_id: UUID
    ) -> Mapping[str, object] | None:
        """Return what policy is told of a customer and a member. It takes as long where there is none."""
        bound = {"org_id": self._org_id, "customer_id": customer_id}
        row = (await self._connection.execute(_CUSTOMER, bound)).mappings().first()
        representation = await self._representation(customer_id)
        return FoundCustomer(to_customer(row), representation).facts(member_id) if row else None

    async def customer(self, customer_id: UUID) -> FoundCustomer | None:
        """Return the customer; it is reassigned before this transaction or after it, not meanwhile.

        From here on this is the transaction's now (D7): whoever waited may have lost the customer.
        """
        bound = {"org_id": self._org_id, "customer_id": customer_id}
        row = (await self._connection.execute(_LOCKED_CUSTOMER, bound)).mappings().first()
        self._now = self._clock.now()
        if row is None:
            return None
        return FoundCustomer(to_customer(row), await self._representation(customer_id))

    async def order_facts(self, order_id: UUID, member_id: UUID) -> Mapping[str, object] | None:
        """Return what policy is told of an order and a member. It takes as long where there is none."""
        who = {"org_id": self._org_id, "member_id": member_id, "now": self._now}
        return await order_facts(self._connection, {**who, "id": order_id})

    async def order(self, order_id: UUID) -> FoundOrder | None:
        """Return the order, kept from changing, and its customer, kept from being reassigned.

        From here on this is the transaction's now, as with `customer`.
        """
        bound = {"org_id": self._org_id, "order_id": order_id}
        row = (await self._connection.execute(_ORDER, bound)).mappings().first()
        self._now = self._clock.now()
        if row is None:
            return None
        order = to_order(row)
        customer = to_customer(row, prefix="replica_")
        return FoundOrder(order, customer, await self._representation(order.customer_id))

    async def subject(self, member_id: UUID) -> Mapping[str, object] | None:
        """Return what policy is told of a member, None where the replica does not know them."""
        bound = {"org_id": self._org_id, "member_id": member_id}
        row = (await self._connection.execute(_MEMBER, bound)).mappings().first()
        return subject_of(row, self._now) if row else None

    async def add(self, order: Order, change: Change) -> None:
        """Write a new order with its visibility and audit, and tell the bus.

        Raises:
            NumberTaken: its number has just been given to another one.
        """
        try:
            await self._connection.execute(statements.ADD, statements.bound_to(order, change))
        except IntegrityError as error:
            if "orders_number" in str(error.orig):
                raise NumberTaken("Send it again.") from None
            raise

    async def save(self, before: Order, order: Order, change: Change) -> None:
        """Write a changed order with its audit, and tell the bus; an edit keeps what was before."""
        if statements.is_edit(change):
            bound = statements.bound_to(order, change, before=before)
            await self._connection.execute(statements.SAVE_EDIT, bound)
        else:
            await self._connection.execute(statements.SAVE, statements.bound_to(order, change))

    async def again(self, caller: Caller) -> Caller:
        """Return the caller as of the last lock that was waited for: with the rights that held then."""
        return await _CALLERS.again(self._connection, caller, self._now)

    async def earlier(self, claim: Claim | None) -> Replay | None:
        """Return what the same request did before; keeps a second one out until this one ends."""
        if claim is None:
            return None
        return await _KEYS.claim(self._connection, claim, now=self._now)

    async def remember(self, claim: Claim | None, order_id: UUID) -> None:
        """Keep what this request made, for its repetition."""
        if claim is not None:
            done = Replay(order_id)
            await _KEYS.record(self._connection, claim, done, now=self._now)

    async def _representation(self, customer_id: UUID) -> Representation:
        found = await representations(self._connection, self._org_id, [customer_id], self._now)
        return found[customer_id]


class OpenUnit:
    """Opens transactions on a database."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    @asynccontextmanager
    async def __call__(self, org_id: UUID, now: datetime) -> AsyncIterator[Unit]:
        """Open a transaction; it commits on a clean exit."""
        async with self._database.writing(org_id) as connection:
            yield Unit(connection, org_id, now, self._clock)
            crash_points.reach("action.before-commit")
        crash_points.reach("action.after-commit")
