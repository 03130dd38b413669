"""Alembic's entry: reports' tables, migrated one at a time."""

from bailiwick_kit.migrations import run
from bailiwick_reports.store.tables import metadata

run(metadata, "reports")
