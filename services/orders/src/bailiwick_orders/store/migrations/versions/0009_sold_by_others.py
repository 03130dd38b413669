"""Who was credited is found in the index of orders' key: what others sold of a portfolio is a list of few."""

from __future__ import annotations

from alembic import op

from bailiwick_kit.database.migration_steps import create_index

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    included = {"postgresql_include": ["order_date", "credited_to"]}
    create_index("orders_covering", "orders", ["org_id", "order_id"], unique=True, **included)
    op.execute(
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey,"
        " ADD CONSTRAINT orders_pkey PRIMARY KEY USING INDEX orders_covering"
    )
