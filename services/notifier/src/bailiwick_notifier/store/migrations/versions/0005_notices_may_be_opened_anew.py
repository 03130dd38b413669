"""Notices may be opened anew: who is told is fixed again where everybody was told in vain (domain §3)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column(
        "notices",
        "fixed_at",
        existing_type=sa.DateTime(timezone=True),
        existing_nullable=True,
        existing_comment="When it was fixed who is told; never again.",
        comment="When it was last fixed who is told; null again where all were told in vain.",
    )
