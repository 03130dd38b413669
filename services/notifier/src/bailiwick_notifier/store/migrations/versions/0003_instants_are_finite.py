"""Instants and days are finite: infinite ones are repaired, and refused from now on."""

from __future__ import annotations

from bailiwick_kit.database.migration_steps import make_finite

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    make_finite(
        "assignments",
        "audit",
        "deliveries",
        "digests",
        "inbox",
        "members",
        "notices",
    )
