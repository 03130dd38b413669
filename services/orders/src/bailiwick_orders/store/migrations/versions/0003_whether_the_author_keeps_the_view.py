"""Whether an author keeps the view of an order is fixed when it is placed (domain §3, D11)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bailiwick_kit.database.migrations import every_organization

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FIXED = """
    UPDATE orders SET author_keeps_view = true
    WHERE placed_at IS NOT NULL AND (
        placed_by = author_id
        OR EXISTS (
            SELECT FROM assignments AS held
            WHERE held.org_id = orders.org_id AND held.customer_id = orders.customer_id
                AND held.member_id = orders.author_id
                AND held.valid_from <= orders.placed_at AND held.valid_to > orders.placed_at
        )
    )
"""


def upgrade() -> None:
    op.add_column(
        "orders",
        sa.Column(
            "author_keeps_view",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="Fixed when placed: by its author, or while they represented the customer (D11).",
        ),
    )
    with every_organization("orders"), every_organization("assignments"):
        op.execute(_FIXED)
