"""Outbox rows may be bulk, are found by organization, and are parked if they cannot be sent (ADR 15, 16)."""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_kit.database.migration_steps import add_column, create_index, make_finite

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_column(
        "outbox",
        sa.Column(
            "bulk",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Sent beside what people do now.",
        ),
    )
    add_column(
        "outbox",
        sa.Column(
            "parked_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Tried no more until an operator says.",
        ),
    )
    make_finite("outbox")
    create_index(
        "outbox_untried",
        "outbox",
        ["bulk", "org_id", "position"],
        postgresql_where=sa.text("sent_at IS NULL AND retry_at IS NULL"),
    )
    create_index(
        "outbox_tried",
        "outbox",
        ["bulk", "org_id", "retry_at"],
        postgresql_where=sa.text("sent_at IS NULL AND retry_at IS NOT NULL AND parked_at IS NULL"),
    )
    create_index(
        "outbox_parked",
        "outbox",
        ["position"],
        postgresql_where=sa.text("parked_at IS NOT NULL"),
    )
