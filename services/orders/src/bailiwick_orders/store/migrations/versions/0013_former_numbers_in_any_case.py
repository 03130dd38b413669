"""Orders are found by the number that they had before they were imported, in whichever case it is written."""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_kit.database.migration_steps import (
    add_column,
    change_in_pieces,
    create_index,
    show_all_organizations,
)

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_FORMER_NUMBERS = """
searched AS (
    UPDATE orders SET former_number = lower(external_ref COLLATE "C") FROM piece
    WHERE orders.org_id = piece.org_id AND orders.order_id = piece.order_id
        AND external_ref IS NOT NULL AND former_number IS NULL
)
"""


def upgrade() -> None:
    comment = "external_ref as it is searched for. A version before this one writes none."
    add_column(
        "orders",
        sa.Column("former_number", sa.Text(collation="C"), nullable=True, comment=comment),
    )
    show_all_organizations("orders")
    change_in_pieces("orders", _FORMER_NUMBERS)
    create_index("orders_former_number_searched", "orders", ["org_id", "former_number"])
