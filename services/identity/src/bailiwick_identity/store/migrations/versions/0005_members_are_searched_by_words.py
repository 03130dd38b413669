"""Members are found by the words of their name and email, as customers are (ADR 29)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bailiwick_identity.store.rows import searched
from bailiwick_kit.database.migrations import every_organization

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_AT_ONCE = 2000

_UNSEARCHED = sa.text(
    "SELECT org_id, member_id, name, email, version FROM members WHERE words IS NULL LIMIT :most"
)
_WRITE = sa.text(
    "UPDATE members SET words = new.words, words_version = version"
    " FROM unnest(CAST(:orgs AS uuid[]), CAST(:ids AS uuid[]), CAST(:words AS text[]))"
    " AS new (org_id, member_id, words)"
    " WHERE members.org_id = new.org_id AND members.member_id = new.member_id"
)


def upgrade() -> None:
    for name, kind, comment in (
        ("words", sa.Text(), "What it is found by; each has a space before it."),
        ("words_version", sa.Integer(), "Which version's words these are."),
    ):
        op.add_column("members", sa.Column(name, kind, nullable=True, comment=comment))
    op.alter_column("members", "search", comment="What the version before searches.")
    connection = op.get_bind()
    with every_organization("members"):
        while rows := connection.execute(_UNSEARCHED, {"most": _AT_ONCE}).mappings().all():
            words = [searched(row["name"], row["email"], 0)["words"] for row in rows]
            ids = {
                "orgs": [row["org_id"] for row in rows],
                "ids": [row["member_id"] for row in rows],
            }
            connection.execute(_WRITE, {**ids, "words": words})
