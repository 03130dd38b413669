"""Which version a record had when its row was taken: what people change after it stays (ADR 20)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "imported_rows",
        sa.Column(
            "version",
            sa.Integer(),
            nullable=True,
            comment="Of the record, when the row was taken.",
        ),
    )
