"""Instants and days are finite: infinite ones are repaired, and refused from now on."""

from __future__ import annotations

from bailiwick_kit.database.migration_steps import make_finite, run, show_all_organizations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Rows that ended before all time would get the key of their successors.
    show_all_organizations("visibility")
    run("DELETE FROM visibility WHERE valid_to <= '1900-01-01T00:00:00Z'")
    make_finite(
        "assignments",
        "audit",
        "customers",
        "idempotency_keys",
        "inbox",
        "members",
        "outbox",
        "visibility",
    )
