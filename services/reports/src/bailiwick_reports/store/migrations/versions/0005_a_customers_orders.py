"""A customer's orders are found by the customer: the cube is recounted by customers (ADR 28)."""

from __future__ import annotations

from bailiwick_kit.database.migration_steps import create_index

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("orders_customer_id", "orders", ["org_id", "customer_id"])
