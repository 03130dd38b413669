"""Orders that came in: taken from the bus, fixed who is told of each, and opened anew if that was in vain."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.identity import Settings
from bailiwick_kit.bus.handling import Received
from bailiwick_kit.clock import Clock
from bailiwick_kit.database.engine import Database
from bailiwick_notifier.domain.delivery import IN_VAIN, State, delivery_id
from bailiwick_notifier.domain.notice import Notice
from bailiwick_notifier.store.members import ACTIVE, NAMED, Person
from bailiwick_notifier.store.rows import changed_row, notice_row, to_notice, to_person
from bailiwick_notifier.store.tables import (
    assignments,
    changed_orders,
    deliveries,
    notices,
    organizations,
)

_NOW = sa.bindparam("now", type_=sa.DateTime(timezone=True))
_TOLD_OF = sa.and_(
    deliveries.c.org_id == notices.c.org_id, deliveries.c.event_id == notices.c.event_id
)
_TOLD = sa.func.array(sa.select(deliveries.c.member_id).where(_TOLD_OF).scalar_subquery()).label(
    "told"
)
_DUE = (
    sa.select(notices, _TOLD)
    .where(notices.c.fixed_at.is_(None), notices.c.next_look_at <= _NOW)
    .order_by(notices.c.next_look_at)
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_SETTINGS = sa.select(organizations.c.settings).where(
    organizations.c.org_id == sa.bindparam("org_id", type_=sa.Uuid)
)
_REPRESENTATIVES = (
    sa.select(*assignments.c["member_id", "relation"])
    .where(
        assignments.c.org_id == sa.bindparam("org_id", type_=sa.Uuid),
        assignments.c.customer_id == sa.bindparam("customer_id", type_=sa.Uuid),
        assignments.c.valid_from <= _NOW,
        assignments.c.valid_to > _NOW,
    )
    .order_by(assignments.c.member_id)
)


class TakeNotice:
    """Keeps what a mail about an order needs, in the transaction of the event's inbox row."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def __call__(self, connection: AsyncConnection, received: Sequence[Received]) -> None:
        """Take them; who is told is another job's to fix."""
        rows = [notice_row(one, self._clock) for one in received]
        await connection.execute(insert(notices).on_conflict_do_nothing(), rows)


class KeepChanged:
    """Keeps how an order stands that has changed since it came in, likewise: events come in any order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def __call__(self, connection: AsyncConnection, received: Sequence[Received]) -> None:
        """Keep them, unless a higher version of one is there."""
        rows = [changed_row(one, self._clock) for one in received]
        rows.sort(
            key=lambda row: row["order_id"]
        )  # two at once wait for each other in one way alone
        new = insert(changed_orders)
        statement = new.on_conflict_do_update(
            index_elements=list(changed_orders.primary_key.columns),
            set_={name: new.excluded[name] for name in ("version", "state", "content", "heard_at")},
            where=changed_orders.c.version < new.excluded.version,
        )
        await connection.execute(statement, rows)


class StoredNotices:
    """The orders that came in, in the worker's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, now: datetime, most: int) -> Sequence[Notice]:
        """Return those whose turn it is, in all organizations, oldest first."""
        async with self._database.reading(None) as connection:
            found = await connection.execute(_DUE, {"now": now, "most": most})
            return [to_notice(row) for row in found.mappings()]

    async def settings(self, org_id: UUID) -> Settings | None:
        """Return the organization's settings, None where the replica does not know it yet."""
        async with self._database.reading(org_id) as connection:
            found = (await connection.execute(_SETTINGS, {"org_id": org_id})).scalar()
        return None if found is None else Settings.model_validate(found)

    async def people(
        self, org_id: UUID, now: datetime, member_ids: Collection[UUID] | None = None
    ) -> Mapping[UUID, Person]:
        """Return those of the members whom the replica knows; named none, all who are active."""
        if member_ids is None:
            statement, bound = ACTIVE, {"org_id": org_id, "now": now}
        else:
            statement, bound = NAMED, {"org_id": org_id, "member_ids": list(member_ids)}
        async with self._database.reading(org_id) as connection:
            rows = (await connection.execute(statement, bound)).mappings().all()
        return {row["member_id"]: to_person(row, now) for row in rows}

    async def representatives(
        self, notice: Notice, now: datetime
    ) -> tuple[UUID | None, Sequence[UUID]]:
        """Return the main of the notice's customer at an instant, None without, and the additionals."""
        bound = {"org_id": notice.org_id, "customer_id": notice.customer_id, "now": now}
        async with self._database.reading(notice.org_id) as connection:
            rows = (await connection.execute(_REPRESENTATIVES, bound)).all()
        mains = [one.member_id for one in rows if one.relation == "main"]
        additionals = [one.member_id for one in rows if one.relation == "additional"]
        return next(iter(mains), None), list(dict.fromkeys(additionals))

    async def postpone(self, notice: Notice, until: datetime) -> None:
        """Look at it again later."""
        async with self._database.writing(notice.org_id) as connection:
            await connection.execute(
                notices.update().where(*_is_open(notice)).values(next_look_at=until)
            )

    async def fix(self, notice: Notice, recipients: Sequence[UUID], now: datetime) -> bool:
        """Fix who is told: one delivery each; false where somebody else just has.

        Two at once queue on the row: the second finds it fixed, or open anew for others than were told.
        """
        of_order = notices.c["order_id", "order_number"]
        locked = sa.select(*of_order).where(*_is_open(notice)).with_for_update()
        told = sa.select(_TOLD).where(
            *_is_open(notice)
        )  # on its own: what others did before the lock
        async with self._database.writing(notice.org_id) as connection:
            order = (await connection.execute(locked)).mappings().first()
            if order is None or notice.told != set((await connection.execute(told)).scalar_one()):
                return False
            await connection.execute(notices.update().where(*_is_open(notice)).values(fixed_at=now))
            if recipients:
                rows = [
                    {
                        **order,
                        "org_id": notice.org_id,
                        "delivery_id": delivery_id(notice.event_id, member_id),
                        "event_id": notice.event_id,
                        "member_id": member_id,
                        "created_at": now,
                        "state": State.PENDING.value,
                        "attempts": 0,
                        "next_attempt_at": now,
                    }
                    for member_id in recipients
                ]
                await connection.execute(deliveries.insert(), rows)
        return True


async def open_anew(
    connection: AsyncConnection, org_id: UUID, settled: Sequence[UUID], now: datetime
) -> None:
    """Have it fixed anew who is told of the orders of these deliveries, where all of each ended in vain.

    It locks the notices first: of two workers that settle the last two deliveries of one order at once, the
    second finds what the first has settled.
    """
    concerned = sa.select(deliveries.c.event_id).where(
        deliveries.c.org_id == org_id,
        deliveries.c.delivery_id == sa.any_(sa.literal(list(settled), sa.ARRAY(sa.Uuid))),
    )
    locked = (
        sa.select(notices.c.event_id)
        .where(notices.c.org_id == org_id, notices.c.event_id.in_(concerned))
        .order_by(notices.c.event_id)
        .with_for_update()
    )
    event_ids = list((await connection.execute(locked)).scalars())
    not_in_vain = sa.exists().where(_TOLD_OF, deliveries.c.state.not_in(IN_VAIN))
    await connection.execute(
        notices.update()
        .where(
            notices.c.org_id == org_id,
            notices.c.event_id == sa.any_(sa.literal(event_ids, sa.ARRAY(sa.Uuid))),
            sa.not_(not_in_vain),
        )
        .values(fixed_at=None, next_look_at=now)
    )


def _is_open(notice: Notice) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        notices.c.org_id == notice.org_id,
        notices.c.event_id == notice.event_id,
        notices.c.fixed_at.is_(None),
    )
