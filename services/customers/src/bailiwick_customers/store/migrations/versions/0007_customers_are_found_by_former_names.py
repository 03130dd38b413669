"""Customers are found by what they were called where they were imported from."""

from __future__ import annotations

from alembic import op

from bailiwick_kit.database.migrations import every_organization

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The worker writes their words anew: it looks for customers whose words are of another version.
    with every_organization("customers"):
        op.execute("UPDATE customers SET words_version = NULL WHERE external_ref IS NOT NULL")
