"""Alembic's entry."""

from bailiwick_kit.database.migrations import run
from bailiwick_testkit.services.toy import metadata

run(metadata, "things")
