"""The tables of customers. `org_id` is the first column of every key (D4), and what isolates a tenant."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, ExcludeConstraint

from bailiwick_access.tables import members_table, organizations_table
from bailiwick_access.visibility import visibility_table
from bailiwick_kit.bus.inbox import inbox_table
from bailiwick_kit.bus.outbox import outbox_table
from bailiwick_kit.database.audit import audit_table
from bailiwick_kit.database.engine import NAMING
from bailiwick_kit.imports.imported_rows import imported_rows_table
from bailiwick_kit.replication.change_counter import change_counters_table
from bailiwick_kit.replication.replica import replica_positions_table
from bailiwick_kit.web.idempotency import idempotency_keys as idempotency_keys_table

metadata = sa.MetaData(naming_convention=NAMING)

organizations = organizations_table(metadata)
members = members_table(metadata)
replica_positions = replica_positions_table(metadata)
change_counters = change_counters_table(metadata)
outbox = outbox_table(metadata)
inbox = inbox_table(metadata)
audit = audit_table(metadata)
imported_rows = imported_rows_table(metadata)
idempotency_keys = idempotency_keys_table(metadata)
visibility = visibility_table(metadata, "customer")

_instant = sa.DateTime(timezone=True)

customers = sa.Table(
    "customers",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("customer_id", sa.Uuid, primary_key=True),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("search", sa.Text, nullable=False, comment="What the version before searches."),
    sa.Column("tax_id", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("contacts", JSONB, nullable=False),
    sa.Column("addresses", JSONB, nullable=False),
    sa.Column("country", sa.Text, comment="Of the primary address, as are city and the rest."),
    sa.Column("subdivision", sa.Text),
    sa.Column("postal_code", sa.Text),
    sa.Column("city", sa.Text),
    sa.Column("tags", ARRAY(sa.Text), nullable=False),
    sa.Column("parent_id", sa.Uuid),
    sa.Column("price_list", sa.Text),
    sa.Column("discount", sa.Numeric(18, 4)),
    sa.Column("payment_method", sa.Text),
    sa.Column("shipping_method", sa.Text),
    sa.Column("created_by", sa.Uuid, nullable=False),
    sa.Column(
        "listed_at", _instant, nullable=False, comment="When it was created; lists go by it."
    ),
    sa.Column("imported", sa.Boolean, nullable=False),
    sa.Column("import_source", sa.Text),
    sa.Column("external_ref", sa.Text),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("words", sa.Text, comment="What it is found by; each has a space before it."),
    sa.Column("looked_up_words", sa.Text, comment="Those of what a look-up shows: name and city."),
    sa.Column("words_version", sa.Integer, comment="Which version's words these are."),
    sa.UniqueConstraint("org_id", "code"),
    sa.UniqueConstraint("org_id", "import_source", "external_ref"),
    sa.Index("customers_listed", "org_id", "listed_at", "customer_id"),
    sa.Index("customers_seq", "org_id", "seq"),
    sa.Index(
        "customers_unsearched",
        "org_id",
        postgresql_where=sa.text("words_version IS DISTINCT FROM version"),
    ),
)

customer_words = sa.Table(
    "customer_words",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    # By code point, so that a beginning is a range of the key, whatever the database's own order.
    sa.Column("word", sa.Text(collation="C"), primary_key=True),
    sa.Column("customer_id", sa.Uuid, primary_key=True),
    sa.Column("looked_up", sa.Boolean, nullable=False, comment="It is of what a look-up shows."),
    comment="customers.words, by word.",
)

assignments = sa.Table(
    "assignments",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("assignment_id", sa.Uuid, primary_key=True),
    sa.Column("customer_id", sa.Uuid, nullable=False),
    sa.Column("member_id", sa.Uuid, nullable=False),
    sa.Column("relation", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("valid_from", _instant, nullable=False),
    sa.Column("valid_to", _instant, nullable=False),
    sa.Column("created_by", sa.Uuid, nullable=False),
    sa.Column("changeset_id", sa.Uuid, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column(
        "own_end", _instant, comment="When it would end, had another act not ended it before."
    ),
    sa.Column(
        "took_main_until", _instant, comment="Until when its member was to be main, not additional."
    ),
    sa.Column(
        "took_plans_after",
        _instant,
        comment="Its member's plans to be main, which give way to it, begin after this.",
    ),
    sa.Column("layer", sa.Uuid, comment="Its place in the order of acts, if not that of its id."),
    sa.CheckConstraint("valid_from <= valid_to", name="assignments_interval"),
    # D26: no two mains of a customer at any instant, whatever the code above believes.
    ExcludeConstraint(
        (sa.column("org_id"), "="),
        (sa.column("customer_id"), "="),
        (sa.text("tstzrange(valid_from, valid_to)"), "&&"),
        name="assignments_one_main",
        using="gist",
        where=sa.text("relation = 'main'"),
    ),
    sa.Index("assignments_customer", "org_id", "customer_id", "member_id"),
    sa.Index("assignments_member", "org_id", "member_id"),
    sa.Index("assignments_seq", "org_id", "seq"),
)
