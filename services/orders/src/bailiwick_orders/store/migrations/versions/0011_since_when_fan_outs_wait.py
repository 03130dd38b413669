"""Since when what is left to write of a large act waits."""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_kit.database.migration_steps import add_column, make_finite

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_column(
        "fan_outs",
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
    )
    make_finite("fan_outs")
