"""Instants and days are finite: infinite ones are repaired, and refused from now on."""

from __future__ import annotations

from bailiwick_kit.database.migration_steps import make_finite

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    make_finite(
        "accounts",
        "audit",
        "idempotency_keys",
        "members",
        "outbox",
        "refresh_tokens",
        "sessions",
        "sign_in_attempts",
    )
