"""The mails to send: claimed for a while, counted before each attempt, settled for good.

A claim is `next_attempt_at` moved on, committed before anybody talks to a mail server; whoever finds
another instant there than the one of their claim has lost it, and writes nothing. So no two workers send
the same mail at once, and one that dies holds a mail up for as long as its claim lasts, no longer.

A digest's deliveries are those in it when its first attempt begins. What joins it in the same moment is
let go again, and goes out with the next one: both take the digest's row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_kit.database.engine import Database
from bailiwick_notifier.domain.delivery import IN_VAIN, Dispatch, Problem, State, digest_id
from bailiwick_notifier.store.mail_content import Opened, opened
from bailiwick_notifier.store.notices import open_anew
from bailiwick_notifier.store.tables import deliveries, digests

_PENDING = State.PENDING.value


def _claim(table: sa.Table, key: sa.Column[Any], *also: sa.ColumnElement[bool]) -> sa.Update:
    due = (
        sa.select(table.c.org_id, key.label("id"))
        .where(
            table.c.state == _PENDING,
            table.c.next_attempt_at <= sa.bindparam("now", type_=sa.DateTime(timezone=True)),
            *also,
        )
        .order_by(table.c.next_attempt_at)
        .limit(sa.bindparam("most", type_=sa.Integer))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return (
        table.update()
        .where(table.c.org_id == due.c.org_id, key == due.c.id)
        .values(next_attempt_at=sa.bindparam("held_until", type_=sa.DateTime(timezone=True)))
        .returning(
            *table.c["org_id", "member_id", "attempts", "first_attempt_at"],
            key.label("dispatch_id"),
        )
    )


_DELIVERIES = _claim(deliveries, deliveries.c.delivery_id, deliveries.c.digest_id.is_(None))
_DIGESTS = _claim(digests, digests.c.digest_id)


class StoredDispatches:
    """The mails to send, in the worker's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, now: datetime, held_until: datetime, most: int) -> Sequence[Dispatch]:
        """Take mails whose turn it is, in all organizations; nobody else gets them before `held_until`."""
        claimed: list[Dispatch] = []
        async with self._database.writing(None) as connection:
            for statement, is_digest in ((_DIGESTS, True), (_DELIVERIES, False)):
                bound = {"now": now, "held_until": held_until, "most": most - len(claimed)}
                found = (await connection.execute(statement, bound)).mappings()
                claimed += [
                    Dispatch(**row, is_digest=is_digest, held_until=held_until) for row in found
                ]
        return claimed

    async def opened(self, dispatch: Dispatch, now: datetime) -> Opened | None:
        """Return what is in it; None where the replica does not know its recipient."""
        async with self._database.reading(dispatch.org_id) as connection:
            return await opened(connection, dispatch, now)

    async def keep_for_digest(self, dispatch: Dispatch, day: date, due: datetime) -> None:
        """Put a delivery into the recipient's digest of that day; if that is on its way, the next day's."""
        async with self._database.writing(dispatch.org_id) as connection:
            while True:
                digest = await _digest(connection, dispatch, day, due)
                if digest.state == _PENDING and digest.attempts == 0:
                    break
                day, due = day + timedelta(days=1), due + timedelta(days=1)
            await connection.execute(
                _held(dispatch).values(
                    digest_id=digest.digest_id, next_attempt_at=digest.next_attempt_at
                )
            )

    async def begin(
        self,
        dispatch: Dispatch,
        kept: Sequence[UUID],
        dropped: Sequence[UUID],
        now: datetime,
        held_until: datetime,
    ) -> Dispatch | None:
        """Count an attempt, before it is made; suppress what was dropped. None: the claim is lost.

        Orders that are now told to nobody are as after `finish`.
        """

        def begun(update: sa.Update, table: sa.Table) -> sa.Update:
            return update.values(
                attempts=table.c.attempts + 1,
                first_attempt_at=sa.func.coalesce(table.c.first_attempt_at, now),
                next_attempt_at=held_until,
            )

        async with self._database.writing(dispatch.org_id) as connection:
            head = begun(_held(dispatch), _table(dispatch))
            columns = _table(dispatch).c["attempts", "first_attempt_at"]
            row = (await connection.execute(head.returning(*columns))).first()
            if row is None:
                return None
            if dispatch.is_digest:
                await _let_go(connection, dispatch, [*kept, *dropped], now)
                await connection.execute(begun(_these(dispatch, kept), deliveries))
                settled = _settled(State.SUPPRESSED, Problem.OUT_OF_SIGHT, now)
                await connection.execute(_these(dispatch, dropped).values(settled))
                await open_anew(connection, dispatch.org_id, dropped, now)
        return replace(
            dispatch, attempts=row.attempts, first_attempt_at=row[1], held_until=held_until
        )

    async def finish(
        self,
        dispatch: Dispatch,
        deliveries: Sequence[UUID],
        state: State,
        problem: str | None,
        now: datetime,
    ) -> None:
        """Settle it and these deliveries in it, for good.

        Where every delivery of an order has now ended in vain, it is fixed anew who is told.
        """
        settled = _settled(state, problem, now)
        async with self._database.writing(dispatch.org_id) as connection:
            head = await connection.execute(_held(dispatch).values(settled))
            if head.rowcount and dispatch.is_digest:
                await _let_go(connection, dispatch, deliveries, now)
                await connection.execute(_these(dispatch, deliveries).values(settled))
            if head.rowcount and state in IN_VAIN:
                await open_anew(connection, dispatch.org_id, deliveries, now)

    async def put_off(self, dispatch: Dispatch, until: datetime, problem: str) -> None:
        """Try again later."""
        later = {"next_attempt_at": until, "last_problem": problem}
        async with self._database.writing(dispatch.org_id) as connection:
            head = await connection.execute(_held(dispatch).values(later))
            if head.rowcount and dispatch.is_digest:
                await connection.execute(_in_digest(dispatch).values(later))


def _table(dispatch: Dispatch) -> sa.Table:
    return digests if dispatch.is_digest else deliveries


def _held(dispatch: Dispatch) -> sa.Update:
    """Return what writes the dispatch's own row, as long as the claim on it holds."""
    table = _table(dispatch)
    key = table.c["digest_id" if dispatch.is_digest else "delivery_id"]
    return table.update().where(
        table.c.org_id == dispatch.org_id,
        key == dispatch.dispatch_id,
        table.c.state == _PENDING,
        table.c.next_attempt_at == dispatch.held_until,
    )


def _in_digest(dispatch: Dispatch) -> sa.Update:
    return deliveries.update().where(
        deliveries.c.org_id == dispatch.org_id,
        deliveries.c.digest_id == dispatch.dispatch_id,
        deliveries.c.state == _PENDING,
    )


def _these(dispatch: Dispatch, ids: Sequence[UUID]) -> sa.Update:
    return _in_digest(dispatch).where(deliveries.c.delivery_id == _any_of(ids))


async def _let_go(
    connection: AsyncConnection, dispatch: Dispatch, ids: Sequence[UUID], now: datetime
) -> None:
    """Let go what joined the digest after it was opened."""
    others = _in_digest(dispatch).where(sa.not_(deliveries.c.delivery_id == _any_of(ids)))
    await connection.execute(others.values(digest_id=None, next_attempt_at=now))


def _settled(state: State, problem: str | None, now: datetime) -> dict[str, Any]:
    return {
        "state": state.value,
        "last_problem": problem,
        "next_attempt_at": None,
        "sent_at": now if state is State.SENT else None,
        "settled_at": now,
    }


def _any_of(ids: Sequence[UUID]) -> sa.ColumnElement[Any]:
    return sa.any_(sa.literal(list(ids), sa.ARRAY(sa.Uuid)))


async def _digest(
    connection: AsyncConnection, dispatch: Dispatch, day: date, due: datetime
) -> sa.Row[Any]:
    """Return the recipient's digest of the day, made where it is missing, and keep it from beginning."""
    new = insert(digests).values(
        org_id=dispatch.org_id,
        digest_id=digest_id(dispatch.member_id, day.isoformat()),
        day=day,
        member_id=dispatch.member_id,
        state=_PENDING,
        attempts=0,
        next_attempt_at=due,
    )
    statement = new.on_conflict_do_update(
        index_elements=list(digests.c["org_id", "member_id", "day"]),
        set_={"day": new.excluded.day},
    ).returning(*digests.c["digest_id", "state", "attempts", "next_attempt_at"])
    return (await connection.execute(statement)).one()
