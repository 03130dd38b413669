"""Counts read visibility alone: the key's index includes until when a row is valid."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE UNIQUE INDEX visibility_covering ON visibility"
        " (org_id, member_id, listed_at, customer_id, relation, valid_from) INCLUDE (valid_to)"
    )
    op.execute(
        "ALTER TABLE visibility DROP CONSTRAINT visibility_pkey,"
        " ADD CONSTRAINT visibility_pkey PRIMARY KEY USING INDEX visibility_covering"
    )
