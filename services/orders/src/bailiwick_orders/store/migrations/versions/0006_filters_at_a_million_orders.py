"""Filters at a million orders: indexes, and what a list up to a day relies on."""

from __future__ import annotations

from alembic import op

from bailiwick_kit.database.migration_steps import (
    add_checks,
    change_in_pieces,
    create_index,
    show_all_organizations,
    validate_checks,
)

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Imported orders that were listed days after their date are listed as of its midnight.
_LIST_BY_DATE = """
repaired AS (
    UPDATE orders SET listed_at = timezone('UTC', order_date::timestamp) FROM piece
    WHERE orders.org_id = piece.org_id AND orders.order_id = piece.order_id
        AND timezone('UTC', listed_at) >= order_date + 2
    RETURNING orders.org_id, orders.order_id, listed_at
), listed AS (
    UPDATE visibility
    SET listed_at = repaired.listed_at,
        valid_from = CASE relation WHEN 'author' THEN repaired.listed_at ELSE valid_from END
    FROM repaired
    WHERE visibility.org_id = repaired.org_id AND visibility.order_id = repaired.order_id
)
"""


def upgrade() -> None:
    add_checks("orders", {"orders_listed_by_date": "timezone('UTC', listed_at) < order_date + 2"})
    show_all_organizations("orders", "visibility")
    change_in_pieces("orders", _LIST_BY_DATE)
    validate_checks("orders", "orders_listed_by_date")
    for name in ("state", "source", "currency", "author_id", "placed_by", "credited_to"):
        create_index(f"orders_{name}", "orders", ["org_id", name, "listed_at"])
    create_index("orders_dated", "orders", ["org_id", "order_date"])
    key = ["org_id", "member_id", "listed_at", "order_id", "relation", "valid_from"]
    included = {"postgresql_include": ["valid_to"]}
    create_index("visibility_covering", "visibility", key, unique=True, **included)
    op.execute(
        "ALTER TABLE visibility DROP CONSTRAINT visibility_pkey,"
        " ADD CONSTRAINT visibility_pkey PRIMARY KEY USING INDEX visibility_covering"
    )
