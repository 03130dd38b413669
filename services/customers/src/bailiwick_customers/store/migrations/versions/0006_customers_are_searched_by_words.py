"""Customers are found by words of whatever they are known by (ADR 29)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from bailiwick_customers.store.searching import searched
from bailiwick_kit.database.migrations import every_organization, grant, isolate

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_AT_ONCE = 2000

_KNOWN_BY = sa.text(
    "SELECT org_id, customer_id, name, code, tax_id, city, addresses, tags, contacts, version"
    " FROM customers WHERE words IS NULL LIMIT :most"
)
_WRITE = sa.text(
    "UPDATE customers SET words = new.words, looked_up_words = new.looked_up, words_version = version"
    " FROM unnest(CAST(:orgs AS uuid[]), CAST(:ids AS uuid[]), CAST(:words AS text[]),"
    " CAST(:looked_up AS text[])) AS new (org_id, customer_id, words, looked_up)"
    " WHERE customers.org_id = new.org_id AND customers.customer_id = new.customer_id"
)
_BY_WORD = sa.text(
    "INSERT INTO customer_words (org_id, word, customer_id, looked_up)"
    " SELECT org_id, word, customer_id,"
    " word = ANY(string_to_array(ltrim(looked_up_words), ' '))"
    " FROM customers, unnest(string_to_array(ltrim(words), ' ')) AS word WHERE word <> ''"
)


def upgrade() -> None:
    for name, kind, comment in (
        ("words", sa.Text(), "What it is found by; each has a space before it."),
        ("looked_up_words", sa.Text(), "Those of what a look-up shows: name and city."),
        ("words_version", sa.Integer(), "Which version's words these are."),
    ):
        op.add_column("customers", sa.Column(name, kind, nullable=True, comment=comment))
    op.alter_column("customers", "search", comment="What the version before searches.")
    op.create_table(
        "customer_words",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("word", sa.Text(collation="C"), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column(
            "looked_up", sa.Boolean(), nullable=False, comment="It is of what a look-up shows."
        ),
        comment="customers.words, by word.",
    )
    with every_organization("customers"):
        _fill()
    op.create_primary_key(
        op.f("pk_customer_words"), "customer_words", ["org_id", "word", "customer_id"]
    )
    everything = ("select", "insert", "update", "delete")
    grant("customer_words", api=everything, worker=everything)
    isolate("customer_words")
    op.create_index(
        "customers_unsearched",
        "customers",
        ["org_id"],
        unique=False,
        postgresql_where=sa.text("words_version IS DISTINCT FROM version"),
    )


def _fill() -> None:
    connection = op.get_bind()
    while rows := connection.execute(_KNOWN_BY, {"most": _AT_ONCE}).mappings().all():
        found: list[dict[str, Any]] = [searched(dict(row)) for row in rows]
        connection.execute(
            _WRITE,
            {
                "orgs": [row["org_id"] for row in rows],
                "ids": [row["customer_id"] for row in rows],
                "words": [one["words"] for one in found],
                "looked_up": [one["looked_up_words"] for one in found],
            },
        )
    connection.execute(_BY_WORD)
