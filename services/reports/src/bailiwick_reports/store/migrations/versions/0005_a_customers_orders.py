"""A customer's orders are found by the customer: the cube is recounted by customers (ADR 28)."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("orders_customer_id", "orders", ["org_id", "customer_id"])
