"""Alembic's entry: customers' tables, migrated one at a time."""

from bailiwick_customers.store.tables import metadata
from bailiwick_kit.database.migrations import run

run(metadata, "customers")
