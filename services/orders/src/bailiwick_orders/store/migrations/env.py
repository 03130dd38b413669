"""Alembic's entry: orders' tables, migrated one at a time."""

from bailiwick_kit.database.migrations import run
from bailiwick_orders.store.tables import metadata

run(metadata, "orders")
