"""The transactional outbox: what happened is written in the transaction in which it happened.

`kit.bus.relay` sends it. A service's API role may only insert; only its worker role may read (D12).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from bailiwick_contracts.envelope import Event


def outbox_table(metadata: sa.MetaData) -> sa.Table:
    """Declare the outbox of a service. `position` orders rows; it is never a high-water mark (T11)."""
    return sa.Table(
        "outbox",
        metadata,
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("event_id", sa.Uuid, nullable=False, unique=True),
        sa.Column("org_id", sa.Uuid, nullable=False),
        sa.Column("subject", sa.Uuid, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("trace_parent", sa.Text),
        sa.Column("recipient", sa.Text, comment="One consumer's queue, for snapshots; else null."),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("retry_at", sa.DateTime(timezone=True)),
        sa.Column("error", sa.Text),
        sa.Column(
            "bulk",
            sa.Boolean,
            nullable=False,
            server_default=sa.false(),
            comment="Sent beside what people do now.",
        ),
        sa.Column(
            "parked_at", sa.DateTime(timezone=True), comment="Tried no more until an operator says."
        ),
        # For the version before this one, and until two after it.
        sa.Index("outbox_unsent", "position", postgresql_where=sa.text("sent_at IS NULL")),
        sa.Index(
            "outbox_untried",
            *("bulk", "org_id", "position"),
            postgresql_where=sa.text("sent_at IS NULL AND retry_at IS NULL"),
        ),
        sa.Index(
            "outbox_tried",
            *("bulk", "org_id", "retry_at"),
            postgresql_where=sa.text(
                "sent_at IS NULL AND retry_at IS NOT NULL AND parked_at IS NULL"
            ),
        ),
        sa.Index("outbox_parked", "position", postgresql_where=sa.text("parked_at IS NOT NULL")),
        sa.Index("outbox_sent", "sent_at", postgresql_where=sa.text("sent_at IS NOT NULL")),
    )


async def record(
    connection: AsyncConnection,
    outbox: sa.Table,
    events: Iterable[Event],
    *,
    trace_parent: str | None = None,
    recipient: str | None = None,
    bulk: bool = False,
) -> list[UUID]:
    """Write the events into the open transaction and return their ids, in order.

    `recipient` names the one queue that is to get them (D19); without it they go to the exchange. `bulk`
    is for many at once, which nobody waits for: they go beside what people do now (ADR 15).
    """
    rows: list[dict[str, Any]] = [
        {
            "event_id": uuid7(),
            "org_id": event.org_id,
            "subject": event.subject,
            "type": event.type,
            "body": event.model_dump_json().encode(),
            "trace_parent": trace_parent,
            "recipient": recipient,
            "bulk": bulk,
        }
        for event in events
    ]
    if rows:
        # Inline: the API role may write here, not read, not even what it has just written.
        await connection.execute(outbox.insert().inline(), rows)
    return [row["event_id"] for row in rows]
