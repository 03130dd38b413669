"""The tables of orders. Every key starts with `org_id`, but for outbox and inbox (D4)."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from bailiwick_access.assignments import assignments_table
from bailiwick_access.tables import members_table, organizations_table
from bailiwick_access.visibility import visibility_table
from bailiwick_kit.bus.inbox import inbox_table
from bailiwick_kit.bus.outbox import outbox_table
from bailiwick_kit.database.audit import audit_table
from bailiwick_kit.database.engine import NAMING
from bailiwick_kit.imports.imported_rows import imported_rows_table
from bailiwick_kit.replication.replica import replica_positions_table
from bailiwick_kit.web.idempotency import idempotency_keys as idempotency_keys_table

metadata = sa.MetaData(naming_convention=NAMING)

organizations = organizations_table(metadata)
members = members_table(metadata)
replica_positions = replica_positions_table(metadata)
outbox = outbox_table(metadata)
inbox = inbox_table(metadata)
audit = audit_table(metadata)
imported_rows = imported_rows_table(metadata)
idempotency_keys = idempotency_keys_table(metadata)
visibility = visibility_table(metadata, "order")

_instant = sa.DateTime(timezone=True)

LISTED_WITHIN = 2
"""An order was listed before its date and as many days, by UTC: no zone is a whole day from it.

Lists up to a day rely on it, so the database holds it, for imports too.
"""

customers = sa.Table(
    "customers",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("customer_id", sa.Uuid, primary_key=True),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("city", sa.Text, comment="Of the primary address, as is the country."),
    sa.Column("country", sa.Text),
    sa.Column("created_by", sa.Uuid, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column(
        "named_version", sa.Integer, comment="Of which version the name is kept in customer_names."
    ),
    sa.Index(
        "customers_unnamed",
        "org_id",
        postgresql_where=sa.text("named_version IS DISTINCT FROM version"),
    ),
    comment="Replica of customers.",
)

customer_names = sa.Table(
    "customer_names",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("customer_id", sa.Uuid, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column(
        "words",
        sa.Text,
        nullable=False,
        comment="What it is found by; each has a space before it.",
    ),
    comment="The names that orders show of their customers.",
)

customer_name_words = sa.Table(
    "customer_name_words",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    # By code point, so that a beginning is a range of the key, whatever the database's own order.
    sa.Column("word", sa.Text(collation="C"), primary_key=True),
    sa.Column("customer_id", sa.Uuid, primary_key=True),
    comment="customer_names.words, by word.",
)

assignments = assignments_table(metadata)
sa.Index("assignments_member", assignments.c.org_id, assignments.c.member_id)

fan_outs = sa.Table(
    "fan_outs",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("assignment_id", sa.Uuid, primary_key=True),
    sa.Column("customer_id", sa.Uuid, nullable=False),
    sa.Column("begins", sa.Boolean, nullable=False, comment="It is new; what ends goes before."),
    sa.Column("listed_after", _instant, comment="With `id_after`: what is written already."),
    sa.Column("id_after", sa.Uuid),
    sa.Column("recorded_at", _instant, server_default=sa.func.now(), nullable=False),
    comment="Assignments whose orders' visibility is still being written.",
)

# In the database the primary key's index includes `order_date` and `credited_to`.
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("order_id", sa.Uuid, primary_key=True),
    # By code point, so that a beginning is a range of the index, whatever the database's own order.
    sa.Column("number", sa.Text(collation="C"), nullable=False),
    sa.Column("customer_id", sa.Uuid, nullable=False),
    sa.Column("customer_name", sa.Text, nullable=False, comment="As it was when last placed."),
    sa.Column("author_id", sa.Uuid, nullable=False),
    sa.Column("placed_by", sa.Uuid),
    sa.Column("credited_to", sa.Uuid, comment="Fixed when placed; null then means the house."),
    sa.Column(
        "author_keeps_view",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="Fixed when placed: by its author, or while they represented the customer (D11).",
    ),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("order_date", sa.Date, comment="In the organization's zone, when placed."),
    sa.Column("listed_at", _instant, nullable=False, comment="Lists go by it; it never changes."),
    sa.Column("placed_at", _instant),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("lines", JSONB, nullable=False, comment="With an order they are read and written."),
    sa.Column("net", sa.Numeric(18, 4), nullable=False),
    sa.Column("note", sa.Text),
    sa.Column("imported", sa.Boolean, nullable=False),
    sa.Column("import_source", sa.Text),
    sa.Column("external_ref", sa.Text),
    sa.Column(
        "former_number",
        sa.Text(collation="C"),
        comment="external_ref as it is searched for. A version before this one writes none.",
    ),
    sa.Column("version", sa.Integer, nullable=False),
    sa.UniqueConstraint("org_id", "number", name="orders_number"),
    sa.UniqueConstraint("org_id", "import_source", "external_ref", name="orders_imported"),
    sa.CheckConstraint(
        f"timezone('UTC', listed_at) < order_date + {LISTED_WITHIN}", name="orders_listed_by_date"
    ),
    sa.Index("orders_listed", "org_id", "listed_at", "order_id"),
    # What a list is narrowed to, in the order of the list: its page is found however rare or old it is.
    *(
        sa.Index(f"orders_{name}", "org_id", name, "listed_at")
        for name in ("state", "source", "currency", "author_id", "placed_by", "credited_to")
    ),
    sa.Index("orders_dated", "org_id", "order_date"),
    # By code point, as the migration says: what is compared with the database leaves that out.
    sa.Index("orders_former_number", "org_id", "external_ref"),
    sa.Index("orders_former_number_searched", "org_id", "former_number"),
    sa.Index("orders_customer", "org_id", "customer_id", "listed_at"),
)

order_versions = sa.Table(
    "order_versions",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("order_id", sa.Uuid, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, comment="Which version had these lines."),
    sa.Column("lines", JSONB, nullable=False),
    sa.Column("net", sa.Numeric(18, 4), nullable=False),
    sa.Column("note", sa.Text),
    sa.Column("replaced_at", _instant, nullable=False),
    sa.Column("replaced_by", sa.Uuid, nullable=False),
    sa.Column("reason", sa.Text),
    comment="What an edit replaced, why, and who did it.",
)
