"""Alembic's entry: notifier's tables, migrated one at a time."""

from bailiwick_kit.database.migrations import run
from bailiwick_notifier.store.tables import metadata

run(metadata, "notifier")
