"""Members are found by the words of their name and email, as customers are (ADR 29)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bailiwick_identity.store.rows import searched
from bailiwick_kit.database.migration_steps import add_column, run, show_all_organizations

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_AT_ONCE = 2000

_UNSEARCHED = (
    "SELECT org_id, member_id, name, email, version FROM members WHERE words IS NULL LIMIT :most"
)
# Of the version that was read: where there is another by now, the worker writes its words.
_WRITE = (
    "UPDATE members SET words = new.words, words_version = new.version"
    " FROM unnest(CAST(:orgs AS uuid[]), CAST(:ids AS uuid[]), CAST(:words AS text[]),"
    " CAST(:versions AS int[])) AS new (org_id, member_id, words, version)"
    " WHERE members.org_id = new.org_id AND members.member_id = new.member_id"
)


def upgrade() -> None:
    for name, kind, comment in (
        ("words", sa.Text(), "What it is found by; each has a space before it."),
        ("words_version", sa.Integer(), "Which version's words these are."),
    ):
        add_column("members", sa.Column(name, kind, nullable=True, comment=comment))
    show_all_organizations("members")
    while rows := run(_UNSEARCHED, {"most": _AT_ONCE}):
        columns = {"orgs": "org_id", "ids": "member_id", "versions": "version"}
        read = {name: [row[column] for row in rows] for name, column in columns.items()}
        words = [searched(row["name"], row["email"], 0)["words"] for row in rows]
        run(_WRITE, {**read, "words": words})
    op.alter_column("members", "search", comment="What the version before searches.")
