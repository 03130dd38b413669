"""Orders are found by the number that they had before they were imported, or by how it begins."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "orders_former_number", "orders", ["org_id", text('external_ref COLLATE "C"')], unique=False
    )
