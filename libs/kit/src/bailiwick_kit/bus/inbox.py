"""The inbox: one effect per event and consumer, however often the event is delivered.

The row commits with the effect. `attempts` is our own count of failures, because the broker's count
also rises for innocents in the same prefetch (T5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection


def inbox_table(metadata: sa.MetaData) -> sa.Table:
    """Declare the inbox of a service."""
    return sa.Table(
        "inbox",
        metadata,
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column(
            "arrived_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.Column("error", sa.Text),
        sa.Index("inbox_arrived", "arrived_at"),
    )


async def first_of(
    connection: AsyncConnection, inbox: sa.Table, events: Mapping[UUID, str]
) -> frozenset[UUID]:
    """Mark events (id → type) done in the open transaction; return those that were not done before.

    Two deliveries at once queue on the row: the second waits for the first one's commit and sees it.
    """
    done: dict[str, Any] = {"done_at": sa.func.now(), "error": sa.null()}
    return await _marked(connection, inbox, events, done, inbox.c.done_at.is_(None))


async def count_first_failures(
    connection: AsyncConnection, inbox: sa.Table, events: Mapping[UUID, str], error: str
) -> frozenset[UUID]:
    """Count a failed attempt of those events (id → type) that are neither done nor counted; return them."""
    failed: dict[str, Any] = {"attempts": 1, "error": error}
    is_new = sa.and_(inbox.c.done_at.is_(None), inbox.c.attempts == 0)
    return await _marked(connection, inbox, events, failed, is_new)


async def _marked(
    connection: AsyncConnection,
    inbox: sa.Table,
    events: Mapping[UUID, str],
    values: Mapping[str, Any],
    where: sa.ColumnElement[bool],
) -> frozenset[UUID]:
    """Write the values to new rows and to those where the condition holds; return whose rows they are."""
    ids = sorted(events)  # two who mark the same events never wait for each other crosswise
    told = (
        sa.func.unnest(
            sa.literal(ids, sa.ARRAY(sa.Uuid)),
            sa.literal([events[one] for one in ids], sa.ARRAY(sa.Text)),
        )
        .table_valued("event_id", "type")
        .render_derived()
    )
    new = [
        value if isinstance(value, sa.ColumnElement) else sa.literal(value, inbox.c[name].type)
        for name, value in values.items()
    ]
    statement = (
        insert(inbox)
        .from_select(["event_id", "type", *values], sa.select(told.c.event_id, told.c.type, *new))
        .on_conflict_do_update(index_elements=[inbox.c.event_id], set_=values, where=where)
        .returning(inbox.c.event_id)
    )
    return frozenset((await connection.execute(statement)).scalars())


async def count_failure(
    connection: AsyncConnection, inbox: sa.Table, event_id: UUID, event_type: str, error: str
) -> int:
    """Count one more failed attempt and return how many there were; none where it had its effect."""
    statement = (
        insert(inbox)
        .values(event_id=event_id, type=event_type, attempts=1, error=error)
        .on_conflict_do_update(
            index_elements=[inbox.c.event_id],
            set_={"attempts": inbox.c.attempts + 1, "error": error},
            where=inbox.c.done_at.is_(None),
        )
        .returning(inbox.c.attempts)
    )
    return int((await connection.execute(statement)).scalar() or 0)


async def forget_failures(connection: AsyncConnection, inbox: sa.Table, event_id: UUID) -> None:
    """Start counting anew: an event that was set aside gets all its attempts again when replayed."""
    await connection.execute(inbox.update().where(inbox.c.event_id == event_id).values(attempts=0))
