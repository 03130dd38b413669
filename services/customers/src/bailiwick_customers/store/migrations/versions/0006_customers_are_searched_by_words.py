"""Customers are found by words of whatever they are known by (ADR 29)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from bailiwick_customers.store.searching import searched
from bailiwick_kit.database.migration_steps import (
    add_column,
    create_index,
    run,
    show_all_organizations,
)
from bailiwick_kit.database.migrations import grant, isolate

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_AT_ONCE = 2000

_KNOWN_BY = (
    "SELECT org_id, customer_id, name, code, tax_id, city, addresses, tags, contacts, version"
    " FROM customers WHERE words IS NULL LIMIT :most"
)
# Of the version that was read: where there is another by now, the worker writes its words.
_WRITE = (
    "UPDATE customers"
    " SET words = new.words, looked_up_words = new.looked_up, words_version = new.version"
    " FROM unnest(CAST(:orgs AS uuid[]), CAST(:ids AS uuid[]), CAST(:words AS text[]),"
    " CAST(:looked_up AS text[]), CAST(:versions AS int[]))"
    " AS new (org_id, customer_id, words, looked_up, version)"
    " WHERE customers.org_id = new.org_id AND customers.customer_id = new.customer_id"
)
_BY_WORD = (
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
        add_column("customers", sa.Column(name, kind, nullable=True, comment=comment))
    create_index(
        "customers_unsearched",
        "customers",
        ["org_id"],
        postgresql_where=sa.text("words_version IS DISTINCT FROM version"),
    )
    show_all_organizations("customers")
    _find_words()
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
    op.execute(_BY_WORD)
    op.create_primary_key(
        op.f("pk_customer_words"), "customer_words", ["org_id", "word", "customer_id"]
    )
    everything = ("select", "insert", "update", "delete")
    grant("customer_words", api=everything, worker=everything)
    isolate("customer_words")
    op.alter_column("customers", "search", comment="What the version before searches.")


def _find_words() -> None:
    while rows := run(_KNOWN_BY, {"most": _AT_ONCE}):
        found: list[dict[str, Any]] = [searched(dict(row)) for row in rows]
        run(
            _WRITE,
            {
                "orgs": [row["org_id"] for row in rows],
                "ids": [row["customer_id"] for row in rows],
                "words": [one["words"] for one in found],
                "looked_up": [one["looked_up_words"] for one in found],
                "versions": [row["version"] for row in rows],
            },
        )
