"""The tables of reports. Every key starts with `org_id`, but for the inbox (D4)."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa

from bailiwick_access.assignments import assignments_table
from bailiwick_access.tables import members_table, organizations_table
from bailiwick_kit.bus.inbox import inbox_table
from bailiwick_kit.database.engine import NAMING
from bailiwick_kit.replication.replica import replica_positions_table

metadata = sa.MetaData(naming_convention=NAMING)

HOUSE = UUID(int=0)
"""The house, in keys that cannot be null."""

organizations = organizations_table(metadata)
members = members_table(metadata)
assignments = assignments_table(metadata)
sa.Index("assignments_member", assignments.c.org_id, assignments.c.member_id)
replica_positions = replica_positions_table(metadata)
inbox = inbox_table(metadata)

customers = sa.Table(
    "customers",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("customer_id", sa.Uuid, primary_key=True),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("country", sa.Text, comment="Of the primary address."),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    comment="Replica of customers.",
)

_AMOUNT = sa.Numeric(24, 4)
_SUM = sa.Numeric(38, 4)
"""Room for more orders than there can be: a sum that did not fit would be no sum of anybody's."""


def _contribution(*, primary_key: bool) -> list[sa.Column[object]]:
    """Return what an order counts under (D11)."""
    return [
        sa.Column("customer_id", sa.Uuid, primary_key=primary_key, nullable=False),
        sa.Column("author_id", sa.Uuid, primary_key=primary_key, nullable=False),
        sa.Column("credited_to", sa.Uuid, primary_key=primary_key, nullable=False),
        sa.Column("source", sa.Text, primary_key=primary_key, nullable=False),
        sa.Column("order_date", sa.Date, primary_key=primary_key, nullable=not primary_key),
        sa.Column("currency", sa.Text, primary_key=primary_key, nullable=False),
        sa.Column("state", sa.Text, primary_key=primary_key, nullable=False),
    ]


orders = sa.Table(
    "orders",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("order_id", sa.Uuid, primary_key=True),
    *_contribution(primary_key=False),
    sa.Column(
        "author_keeps_view",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="Whether the author goes on viewing it without representing the customer.",
    ),
    sa.Column("pieces", _AMOUNT, nullable=False),
    sa.Column("net", _AMOUNT, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index("orders_customer_id", "org_id", "customer_id"),
    sa.Index(
        "orders_kept",
        "org_id",
        "author_id",
        "customer_id",
        postgresql_where=sa.text("author_keeps_view"),
    ),
    comment="What each order counts for, by its latest event; never placed: under no date, in no figure.",
)

sales = sa.Table(
    "sales",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    *_contribution(primary_key=True),
    sa.Column("orders", sa.Integer, nullable=False),
    sa.Column("pieces", _SUM, nullable=False),
    sa.Column("net", _SUM, nullable=False),
    sa.Index("sales_dated", "org_id", "order_date"),
    sa.Index("sales_author_id", "org_id", "author_id"),
    sa.Index("sales_credited_to", "org_id", "credited_to"),
    comment="The cube: the sums of `orders` by everything that a report asks or policy decides by.",
)
