"""The inbox: one effect per event and consumer, however often the event is delivered.

The row commits with the effect. `attempts` is our own count of failures, because the broker's count
also rises for innocents in the same prefetch (L5).
"""

from __future__ import annotations

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


async def is_first(
    connection: AsyncConnection, inbox: sa.Table, event_id: UUID, event_type: str
) -> bool:
    """Mark the event done in the open transaction; false where an earlier delivery had its effect.

    Two deliveries at once queue on the row: the second waits for the first one's commit and sees it.
    """
    statement = (
        insert(inbox)
        .values(event_id=event_id, type=event_type, done_at=sa.func.now())
        .on_conflict_do_update(
            index_elements=[inbox.c.event_id],
            set_={"done_at": sa.func.now(), "error": None},
            where=inbox.c.done_at.is_(None),
        )
        .returning(inbox.c.event_id)
    )
    return (await connection.execute(statement)).first() is not None


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
