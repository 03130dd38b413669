"""Who did what, to what, when: a row that commits with the effect (D24). Rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7


def audit_table(metadata: sa.MetaData) -> sa.Table:
    """Declare the audit trail of a service. `details` holds ids and codes, no personal data."""
    return sa.Table(
        "audit",
        metadata,
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("audit_id", sa.Uuid, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("member_id", sa.Uuid, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Uuid, nullable=False),
        sa.Column("details", JSONB, nullable=False),
        sa.Index("audit_entity", "org_id", "entity_id"),
    )


async def note(
    connection: AsyncConnection,
    audit: sa.Table,
    *,
    org_id: UUID,
    at: datetime,
    member_id: UUID,
    action: str,
    entity_id: UUID,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add one row in the open transaction."""
    await connection.execute(
        audit.insert().values(
            org_id=org_id,
            audit_id=uuid7(),
            at=at,
            member_id=member_id,
            action=action,
            entity_id=entity_id,
            details=dict(details or {}),
        )
    )
