"""What an order counts for says whether its author keeps the view of it (domain §3, D11).

Orders' events did not say so before. Of what is here, it is sure where the author is credited: they placed
it, or represented the customer then. What is not sure counts as not kept, until orders tells it again
(docs/runbook/upgrading.md).
"""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_kit.database.migration_steps import (
    add_column,
    change_in_pieces,
    create_index,
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
        AND NOT author_keeps_view AND order_date IS NOT NULL AND credited_to = author_id
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
            comment="Whether the author goes on viewing it without representing the customer.",
        ),
    )
    show_all_organizations("orders")
    change_in_pieces("orders", _FIXED)
    create_index(
        "orders_kept",
        "orders",
        ["org_id", "author_id", "customer_id"],
        postgresql_where=sa.text("author_keeps_view"),
    )
