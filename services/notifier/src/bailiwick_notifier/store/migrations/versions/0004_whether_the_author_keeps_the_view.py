"""Notices say whether the order's author keeps the view of it (domain §3, D11)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bailiwick_kit.database.migrations import every_organization

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_FIXED = """
    UPDATE notices SET author_keeps_view = true
    WHERE author_id IN (placed_by, main_id) OR author_id = ANY (additional_ids)
"""


def upgrade() -> None:
    op.add_column(
        "notices",
        sa.Column(
            "author_keeps_view",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="Whether the author goes on viewing the order without representing the customer.",
        ),
    )
    with every_organization("notices"):
        op.execute(_FIXED)
