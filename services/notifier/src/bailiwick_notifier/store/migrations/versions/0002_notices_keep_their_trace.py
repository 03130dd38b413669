"""Notices keep the trace of the order that they tell of, for the mails about it to go on with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "notices",
        sa.Column(
            "trace_parent",
            sa.Text(),
            nullable=True,
            comment="W3C traceparent of what mails about it go on from.",
        ),
    )
