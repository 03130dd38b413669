"""Alembic's entry."""

from bailiwick_kit.database.migrations import run
from bailiwick_testkit.things import metadata

run(metadata, "things")
