"""A plan to be main comes back, once its member is no longer to be additional over it (ADR 22)."""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_kit.database.migration_steps import add_column, make_finite

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_column(
        "assignments",
        sa.Column(
            "took_plans_after",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Its member's plans to be main, which give way to it, begin after this.",
        ),
    )
    make_finite("assignments")
