"""What an order counts for says whether its author keeps the view of it (domain §3, D11).

Orders' events did not say so before. Of what is here, it is sure where the author is credited: they placed
it, or represented the customer then. What is not sure counts as not kept, until orders tells it again
(docs/runbook/upgrading.md).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bailiwick_kit.database.migrations import every_organization

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "orders",
        sa.Column(
            "author_keeps_view",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="Whether the author goes on viewing it without representing the customer.",
        ),
    )
    with every_organization("orders"):
        op.execute(
            "UPDATE orders SET author_keeps_view = true"
            " WHERE order_date IS NOT NULL AND credited_to = author_id"
        )
    op.create_index(
        "orders_kept",
        "orders",
        ["org_id", "author_id", "customer_id"],
        postgresql_where=sa.text("author_keeps_view"),
    )
