"""Orders are found by the number that they had before they were imported, or by how it begins."""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_kit.database.migration_steps import create_index

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index(
        "orders_former_number",
        "orders",
        ["org_id", sa.text('external_ref COLLATE "C"')],
    )
