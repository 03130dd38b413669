"""Alembic's entry: identity's tables, migrated one at a time."""

from bailiwick_identity.store.tables import metadata
from bailiwick_kit.database.migrations import run

run(metadata, "identity")
