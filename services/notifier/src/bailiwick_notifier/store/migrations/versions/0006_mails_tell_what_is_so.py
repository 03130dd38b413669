"""Mails tell what is so when they are sent: orders that changed since, customers renamed since."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from bailiwick_kit.database.migration_steps import add_column, create_index
from bailiwick_kit.database.migrations import grant, isolate, keep_finite, show_all_to_worker

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_COMMENTS: dict[str, tuple[Any, str, str]] = {
    "state": (sa.Text(), "The order's.", "The order's, when it came in."),
    "content": (
        postgresql.JSONB(astext_type=sa.Text()),
        "What the mail tells; personal data.",
        "What the mail tells, if nothing has changed since; personal data.",
    ),
}


def upgrade() -> None:
    add_column(
        "notices",
        sa.Column(
            "renamed",
            sa.Text(),
            nullable=True,
            comment="What the customer has been called since; null: as in the content.",
        ),
    )
    add_column(
        "notices",
        sa.Column(
            "renamed_seq",
            sa.BigInteger(),
            nullable=True,
            comment="The number of that change in customers' sequence.",
        ),
    )
    create_index("notices_customer", "notices", ["org_id", "customer_id"])
    op.create_table(
        "changed_orders",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column(
            "content",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="As of a notice; personal data.",
        ),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "order_id", name=op.f("changed_orders_pkey")),
        comment="Placed orders that changed since, as last told: a mail tells this, not what the notice has.",
    )
    op.create_index("changed_orders_heard", "changed_orders", ["heard_at"], unique=False)
    grant("changed_orders", worker=("select", "insert", "update", "delete"))
    isolate("changed_orders")
    show_all_to_worker("changed_orders")
    keep_finite("changed_orders")
    for name, (kind, before, comment) in _COMMENTS.items():
        op.alter_column(
            "notices",
            name,
            existing_type=kind,
            existing_nullable=False,
            existing_comment=before,
            comment=comment,
        )
