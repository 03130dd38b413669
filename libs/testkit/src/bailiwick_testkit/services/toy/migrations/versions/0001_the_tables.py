"""The tables."""

from __future__ import annotations

from alembic import op

from bailiwick_kit.database.migrations import grant, isolate, show_all_to_worker
from bailiwick_testkit.services.toy import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
    everything = ("select", "insert", "update")
    for table in ("originals", "copies", "effects", "change_counters", "replica_positions"):
        grant(table, api=everything, worker=everything)
        isolate(table)
    grant("audit", api=("insert",), worker=("insert",))
    isolate("audit")
    grant("outbox", api=("insert",), worker=("select", "insert", "update", "delete"))
    grant("inbox", worker=("select", "insert", "update", "delete"))
    show_all_to_worker("change_counters")
