"""Who was credited is found in the index of orders' key: what others sold of a portfolio is a list of few."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE UNIQUE INDEX orders_covering ON orders (org_id, order_id)"
        " INCLUDE (order_date, credited_to)"
    )
    op.execute(
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey,"
        " ADD CONSTRAINT orders_pkey PRIMARY KEY USING INDEX orders_covering"
    )
