"""Assignments know which others they were made over, also where they were cut out of another (ADR 22)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    comment = "Its place in the order of acts, if not that of its id."
    op.add_column("assignments", sa.Column("layer", sa.Uuid(), nullable=True, comment=comment))
