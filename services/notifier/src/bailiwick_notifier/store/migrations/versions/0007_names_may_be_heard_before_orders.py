"""Customers' names are kept by themselves: one may be heard before the customer's order comes in."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from bailiwick_kit.database.migration_steps import show_all_organizations
from bailiwick_kit.database.migrations import grant, isolate, keep_finite, show_all_to_worker

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_KNOWN = """
INSERT INTO customer_names (org_id, customer_id, name, seq, heard_at)
SELECT DISTINCT ON (org_id, customer_id) org_id, customer_id, renamed, renamed_seq, now()
FROM notices WHERE renamed IS NOT NULL AND renamed_seq IS NOT NULL
ORDER BY org_id, customer_id, renamed_seq DESC
"""
_COMMENTS: dict[str, tuple[Any, str, str]] = {
    "renamed": (
        sa.Text(),
        "What the customer has been called since; null: as in the content.",
        "What the version before reads: see customer_names.",
    ),
    "renamed_seq": (
        sa.BigInteger(),
        "The number of that change in customers' sequence.",
        "What the version before reads.",
    ),
}


def upgrade() -> None:
    show_all_organizations("notices")
    op.create_table(
        "customer_names",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="Personal data."),
        sa.Column(
            "seq",
            sa.BigInteger(),
            nullable=False,
            comment="Of the change, in customers' sequence.",
        ),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "customer_id", name=op.f("customer_names_pkey")),
        comment="What customers are called, as last told: whoever may know it reads it in their mail.",
    )
    op.create_index("customer_names_heard", "customer_names", ["heard_at"], unique=False)
    op.execute(_KNOWN)
    grant("customer_names", worker=("select", "insert", "update", "delete"))
    isolate("customer_names")
    show_all_to_worker("customer_names")
    keep_finite("customer_names")
    for name, (kind, before, comment) in _COMMENTS.items():
        op.alter_column(
            "notices",
            name,
            existing_type=kind,
            existing_nullable=True,
            existing_comment=before,
            comment=comment,
        )
