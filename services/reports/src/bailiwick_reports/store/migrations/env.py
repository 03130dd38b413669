"""Alembic's entry: reports' tables, migrated one at a time."""

from bailiwick_kit.database.migrations import run
from bailiwick_reports.store.tables import metadata

run(metadata, "reports")
