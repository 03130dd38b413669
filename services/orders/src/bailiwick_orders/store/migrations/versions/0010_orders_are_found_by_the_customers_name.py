"""Orders are found by the name that they show of their customer (ADR 29)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bailiwick_kit.database.migration_steps import (
    add_column,
    change_in_pieces,
    create_index,
    show_all_organizations,
)
from bailiwick_kit.database.migrations import grant, isolate, show_all_to_worker
from bailiwick_kit.text.search import kept, words_of

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_AT_ONCE = 5000

_NAMES = sa.text(
    "INSERT INTO customer_names (org_id, customer_id, name)"
    " SELECT org_id, customer_id, name FROM customers"
    " UNION SELECT org_id, customer_id, customer_name FROM orders"
)
_UNFOLDED = sa.text("SELECT DISTINCT name FROM customer_names WHERE words IS NULL LIMIT :most")
_FOLD = sa.text(
    "UPDATE customer_names SET words = new.words"
    " FROM unnest(CAST(:names AS text[]), CAST(:words AS text[])) AS new (name, words)"
    " WHERE customer_names.name = new.name"
)
_WORDS = sa.text(
    "INSERT INTO customer_name_words (org_id, word, customer_id)"
    " SELECT DISTINCT org_id, word, customer_id"
    " FROM customer_names, unnest(string_to_array(ltrim(words), ' ')) AS word WHERE word <> ''"
)
_NAMED = """
named AS (
    UPDATE customers SET named_version = version FROM piece
    WHERE customers.org_id = piece.org_id AND customers.customer_id = piece.customer_id
        AND named_version IS DISTINCT FROM version
)
"""
"""Before the names are read: what changes after this has another version, and the worker keeps its name."""


def upgrade() -> None:
    comment = "Of which version the name is kept in customer_names."
    add_column(
        "customers", sa.Column("named_version", sa.Integer(), nullable=True, comment=comment)
    )
    create_index(
        "customers_unnamed",
        "customers",
        ["org_id"],
        postgresql_where=sa.text("named_version IS DISTINCT FROM version"),
    )
    create_index("assignments_member", "assignments", ["org_id", "member_id"])
    show_all_organizations("customers", "orders")
    change_in_pieces("customers", _NAMED)
    _create_tables()
    _fill()
    op.alter_column("customer_names", "words", nullable=False)
    keys = {
        "customer_names": ["customer_id", "name"],
        "customer_name_words": ["word", "customer_id"],
    }
    for table, key in keys.items():
        op.create_primary_key(op.f(f"pk_{table}"), table, ["org_id", *key])
        grant(table, api=("select",), worker=("select", "insert", "update", "delete"))
        isolate(table)
    # It looks in each for names that the version before heard of.
    show_all_to_worker("organizations")


def _create_tables() -> None:
    op.create_table(
        "customer_names",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "words",
            sa.Text(),
            nullable=True,
            comment="What it is found by; each has a space before it.",
        ),
        comment="The names that orders show of their customers.",
    )
    op.create_table(
        "customer_name_words",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("word", sa.Text(collation="C"), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        comment="customer_names.words, by word.",
    )


def _fill() -> None:
    connection = op.get_bind()
    connection.execute(_NAMES)
    while names := connection.execute(_UNFOLDED, {"most": _AT_ONCE}).scalars().all():
        words = [kept(words_of(name)) for name in names]
        connection.execute(_FOLD, {"names": list(names), "words": words})
    connection.execute(_WORDS)
