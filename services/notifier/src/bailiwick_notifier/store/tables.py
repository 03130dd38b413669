"""The tables of notifier. Every key starts with `org_id`, but for the inbox (D4)."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from bailiwick_access.assignments import assignments_table
from bailiwick_access.tables import members_table, organizations_table
from bailiwick_kit.bus.inbox import inbox_table
from bailiwick_kit.database.audit import audit_table
from bailiwick_kit.database.engine import NAMING
from bailiwick_kit.replication.replica import replica_positions_table

metadata = sa.MetaData(naming_convention=NAMING)

organizations = organizations_table(metadata)
members = members_table(metadata)
assignments = assignments_table(metadata)
replica_positions = replica_positions_table(metadata)
inbox = inbox_table(metadata)
audit = audit_table(metadata)

_instant = sa.DateTime(timezone=True)

preferences = sa.Table(
    "preferences",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("member_id", sa.Uuid, primary_key=True),
    sa.Column("new_orders", sa.Text, nullable=False),
    sa.Column("language", sa.Text, comment="Null: the membership's."),
    sa.Column("version", sa.Integer, nullable=False),
)

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("event_id", sa.Uuid, primary_key=True),
    sa.Column("order_id", sa.Uuid, nullable=False),
    sa.Column("order_number", sa.Text, nullable=False),
    sa.Column("customer_id", sa.Uuid, nullable=False),
    sa.Column("author_id", sa.Uuid, nullable=False),
    sa.Column(
        "author_keeps_view",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="Whether the author goes on viewing the order without representing the customer.",
    ),
    sa.Column("placed_by", sa.Uuid),
    sa.Column("main_id", sa.Uuid, comment="As orders knew them, as are the additionals."),
    sa.Column("additional_ids", ARRAY(sa.Uuid), nullable=False),
    sa.Column("assignment_seq", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False, comment="The order's, when it came in."),
    sa.Column(
        "content",
        JSONB,
        nullable=False,
        comment="What the mail tells, if nothing has changed since; personal data.",
    ),
    sa.Column("renamed", sa.Text, comment="What the version before reads: see customer_names."),
    sa.Column("renamed_seq", sa.BigInteger, comment="What the version before reads."),
    sa.Column("taken_at", _instant, nullable=False),
    sa.Column("next_look_at", _instant, nullable=False),
    sa.Column(
        "fixed_at",
        _instant,
        comment="When it was last fixed who is told; null again where all were told in vain.",
    ),
    sa.Column(
        "trace_parent", sa.Text, comment="W3C traceparent of what mails about it go on from."
    ),
    # An order comes in once, whatever an event about it is called (domain §2).
    sa.UniqueConstraint("org_id", "order_id", name="notices_order"),
    sa.Index("notices_due", "next_look_at", postgresql_where=sa.text("fixed_at IS NULL")),
    sa.Index("notices_fixed", "fixed_at", postgresql_where=sa.text("fixed_at IS NOT NULL")),
    sa.Index("notices_customer", "org_id", "customer_id"),
    comment="Orders that came in.",
)

changed_orders = sa.Table(
    "changed_orders",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("order_id", sa.Uuid, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("content", JSONB, nullable=False, comment="As of a notice; personal data."),
    sa.Column("heard_at", _instant, nullable=False),
    sa.Index("changed_orders_heard", "heard_at"),
    comment="Placed orders that changed since, as last told: a mail tells this, not what the notice has.",
)

customer_names = sa.Table(
    "customer_names",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("customer_id", sa.Uuid, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, comment="Personal data."),
    sa.Column(
        "seq", sa.BigInteger, nullable=False, comment="Of the change, in customers' sequence."
    ),
    sa.Column("heard_at", _instant, nullable=False),
    sa.Index("customer_names_heard", "heard_at"),
    comment="What customers are called, as last told: whoever may know it reads it in their mail.",
)


def _dispatch_columns() -> list[sa.Column[object]]:
    """Return the columns of what is sent as one mail: how far that has come."""
    return [
        sa.Column("member_id", sa.Uuid, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_problem", sa.Text, comment="A code; never a server's words."),
        sa.Column("first_attempt_at", _instant),
        sa.Column("next_attempt_at", _instant, comment="While it is claimed: until when."),
        sa.Column("sent_at", _instant),
        sa.Column("settled_at", _instant),
    ]


digests = sa.Table(
    "digests",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("digest_id", sa.Uuid, primary_key=True),
    sa.Column("day", sa.Date, nullable=False, comment="In the organization's zone."),
    *_dispatch_columns(),
    sa.UniqueConstraint("org_id", "member_id", "day"),
    sa.Index("digests_due", "next_attempt_at", postgresql_where=sa.text("state = 'pending'")),
    sa.Index("digests_settled", "settled_at", postgresql_where=sa.text("settled_at IS NOT NULL")),
    comment="A member's mail of a day, about all of its deliveries.",
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("delivery_id", sa.Uuid, primary_key=True),
    sa.Column("event_id", sa.Uuid, nullable=False),
    sa.Column("order_id", sa.Uuid, nullable=False),
    sa.Column("order_number", sa.Text, nullable=False),
    sa.Column("created_at", _instant, nullable=False),
    sa.Column("digest_id", sa.Uuid, comment="The digest that it goes out with; null: on its own."),
    *_dispatch_columns(),
    sa.UniqueConstraint("org_id", "event_id", "member_id"),
    sa.Index("deliveries_listed", "org_id", "created_at", "delivery_id"),
    sa.Index("deliveries_member", "org_id", "member_id", "created_at", "delivery_id"),
    sa.Index("deliveries_order", "org_id", "order_id"),
    sa.Index("deliveries_digest", "org_id", "digest_id"),
    sa.Index(
        "deliveries_due",
        "next_attempt_at",
        postgresql_where=sa.text("state = 'pending' AND digest_id IS NULL"),
    ),
    sa.Index(
        "deliveries_settled", "settled_at", postgresql_where=sa.text("settled_at IS NOT NULL")
    ),
    comment="That a member is told of an order: one a member and event.",
)
