"""Filters at a million orders: indexes, and what a list up to a day relies on."""

from __future__ import annotations

from alembic import op

from bailiwick_kit.database.migrations import every_organization

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _list_by_date()
    op.create_check_constraint(
        "orders_listed_by_date", "orders", "timezone('UTC', listed_at) < order_date + 2"
    )
    for name in ("state", "source", "currency", "author_id", "placed_by", "credited_to"):
        op.create_index(f"orders_{name}", "orders", ["org_id", name, "listed_at"])
    op.create_index("orders_dated", "orders", ["org_id", "order_date"])
    op.execute(
        "CREATE UNIQUE INDEX visibility_covering ON visibility"
        " (org_id, member_id, listed_at, order_id, relation, valid_from) INCLUDE (valid_to)"
    )
    op.execute(
        "ALTER TABLE visibility DROP CONSTRAINT visibility_pkey,"
        " ADD CONSTRAINT visibility_pkey PRIMARY KEY USING INDEX visibility_covering"
    )


def _list_by_date() -> None:
    """Repair imported orders that were listed days after their date: they are listed as of its midnight."""
    with every_organization("orders"), every_organization("visibility"):
        op.execute(
            """
            WITH repaired AS (
                UPDATE orders SET listed_at = timezone('UTC', order_date::timestamp)
                WHERE timezone('UTC', listed_at) >= order_date + 2
                RETURNING org_id, order_id, listed_at
            )
            UPDATE visibility
            SET listed_at = repaired.listed_at,
                valid_from = CASE relation WHEN 'author' THEN repaired.listed_at ELSE valid_from END
            FROM repaired
            WHERE visibility.org_id = repaired.org_id AND visibility.order_id = repaired.order_id
            """
        )
