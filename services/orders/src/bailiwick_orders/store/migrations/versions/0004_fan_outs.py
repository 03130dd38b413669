"""Large acts over assignments are written into visibility piece by piece: what is left to write.

Revision ID: 0004
Revises: 0003
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from bailiwick_kit.database.migrations import grant, isolate, keep_finite, show_all_to_worker

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "fan_outs",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column(
            "begins", sa.Boolean(), nullable=False, comment="It is new; what ends goes before."
        ),
        sa.Column(
            "listed_after",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="With `id_after`: what is written already.",
        ),
        sa.Column("id_after", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "assignment_id", name=op.f("fan_outs_pkey")),
        comment="Assignments whose orders' visibility is still being written.",
    )
    grant("fan_outs", api=("select",), worker=("select", "insert", "update", "delete"))
    isolate("fan_outs")
    show_all_to_worker("fan_outs")
    keep_finite("fan_outs")
