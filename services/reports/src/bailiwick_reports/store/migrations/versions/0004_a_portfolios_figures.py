"""A small portfolio's figures are found by its customers, its author and whom they are credited to."""

from __future__ import annotations

from bailiwick_kit.database.migration_steps import create_index

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("assignments_member", "assignments", ["org_id", "member_id"])
    create_index("sales_author_id", "sales", ["org_id", "author_id"])
    create_index("sales_credited_to", "sales", ["org_id", "credited_to"])
