"""Notices say whether the order's author keeps the view of it (domain §3, D11)."""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_kit.database.migration_steps import (
    add_column,
    change_in_pieces,
    show_all_organizations,
)

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_FIXED = """
    fixed AS (
        UPDATE notices SET author_keeps_view = true FROM piece
        WHERE notices.org_id = piece.org_id AND notices.event_id = piece.event_id
            AND NOT author_keeps_view
            AND (author_id IN (placed_by, main_id) OR author_id = ANY (additional_ids))
    )
"""


def upgrade() -> None:
    add_column(
        "notices",
        sa.Column(
            "author_keeps_view",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="Whether the author goes on viewing the order without representing the customer.",
        ),
    )
    show_all_organizations("notices")
    change_in_pieces("notices", _FIXED)
