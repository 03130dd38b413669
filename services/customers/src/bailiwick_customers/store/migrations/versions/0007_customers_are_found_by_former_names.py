"""Customers are found by what they were called where they were imported from."""

from __future__ import annotations

from bailiwick_kit.database.migration_steps import change_in_pieces, show_all_organizations

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# The worker writes their words anew: it looks for customers whose words are of another version.
_UNSEARCHED = """
unsearched AS (
    UPDATE customers SET words_version = NULL FROM piece
    WHERE customers.org_id = piece.org_id AND customers.customer_id = piece.customer_id
        AND external_ref IS NOT NULL
)
"""


def upgrade() -> None:
    show_all_organizations("customers")
    change_in_pieces("customers", _UNSEARCHED)
