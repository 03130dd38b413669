"""Counts read visibility alone: the key's index includes until when a row is valid."""

from __future__ import annotations

from alembic import op

from bailiwick_kit.database.migration_steps import create_index

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    key = ["org_id", "member_id", "listed_at", "customer_id", "relation", "valid_from"]
    included = {"postgresql_include": ["valid_to"]}
    create_index("visibility_covering", "visibility", key, unique=True, **included)
    op.execute(
        "ALTER TABLE visibility DROP CONSTRAINT visibility_pkey,"
        " ADD CONSTRAINT visibility_pkey PRIMARY KEY USING INDEX visibility_covering"
    )
