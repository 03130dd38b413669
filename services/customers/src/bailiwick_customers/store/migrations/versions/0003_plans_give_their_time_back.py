"""Assignments know when they would end by themselves, so that a plan taken away gives its time back."""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_kit.database.migration_steps import (
    add_column,
    change_in_pieces,
    make_finite,
    show_all_organizations,
)

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ALREADY_PLANNED = """
planned AS (
    UPDATE assignments AS cut SET own_end = plan.valid_to
    FROM piece, assignments AS plan
    WHERE cut.org_id = piece.org_id AND cut.assignment_id = piece.assignment_id
      AND plan.org_id = cut.org_id AND plan.customer_id = cut.customer_id
      AND plan.changeset_id = cut.changeset_id AND plan.assignment_id <> cut.assignment_id
      AND plan.relation = 'main' AND cut.relation = 'main'
      AND plan.version = 1 AND plan.valid_from < plan.valid_to AND plan.valid_from = cut.valid_to
)
"""
"""Who was ended by the act that planned the next main would have gone on. Until when, no row tells:
the plan's end is taken, so that a plan of before the upgrade, cancelled, leaves the main as they were."""


def upgrade() -> None:
    for name, comment in (
        ("own_end", "When it would end, had another act not ended it before."),
        ("took_main_until", "Until when its member was to be main, not additional."),
    ):
        column = sa.Column(name, sa.DateTime(timezone=True), nullable=True, comment=comment)
        add_column("assignments", column)
    show_all_organizations("assignments")
    change_in_pieces("assignments", _ALREADY_PLANNED)
    make_finite("assignments")
