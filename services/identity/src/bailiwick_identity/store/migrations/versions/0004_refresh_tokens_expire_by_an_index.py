"""Refresh tokens expire by an index."""

from __future__ import annotations

from bailiwick_kit.database.migration_steps import create_index

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("refresh_tokens_issued", "refresh_tokens", ["issued_at"])
