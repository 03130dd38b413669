"""Whether an author keeps the view of an order is fixed when it is placed (domain §3, D11)."""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_kit.database.migration_steps import (
    add_column,
    change_in_pieces,
    show_all_organizations,
)

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FIXED = """
    fixed AS (
        UPDATE orders SET author_keeps_view = true FROM piece
        WHERE orders.org_id = piece.org_id AND orders.order_id = piece.order_id
            AND NOT author_keeps_view AND placed_at IS NOT NULL AND (
                placed_by = author_id
                OR EXISTS (
                    SELECT FROM assignments AS held
                    WHERE held.org_id = orders.org_id AND held.customer_id = orders.customer_id
                        AND held.member_id = orders.author_id
                        AND held.valid_from <= orders.placed_at AND held.valid_to > orders.placed_at
                )
            )
    )
"""


def upgrade() -> None:
    add_column(
        "orders",
        sa.Column(
            "author_keeps_view",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="Fixed when placed: by its author, or while they represented the customer (D11).",
        ),
    )
    show_all_organizations("orders", "assignments")
    change_in_pieces("orders", _FIXED)
