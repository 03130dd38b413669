"""What each row of an import said is kept, so that a changed one is noticed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bailiwick_kit.database.migrations import grant, isolate

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "imported_rows",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("external_ref", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "org_id", "source", "kind", "external_ref", name=op.f("imported_rows_pkey")
        ),
        comment="What each row of an import said when it was last taken.",
    )
    everything = ("select", "insert", "update")
    grant("imported_rows", api=everything, worker=everything)
    isolate("imported_rows")
    # An import may take over what has changed in its source: an order, and where it is listed.
    grant("orders", worker=("update",))
    grant("order_versions", worker=("insert",))
    grant("visibility", worker=("delete",))
