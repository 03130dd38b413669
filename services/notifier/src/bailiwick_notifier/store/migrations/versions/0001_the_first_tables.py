"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from bailiwick_kit.database.migrations import grant, isolate, show_all_to_worker

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assignments",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "assignment_id", name=op.f("assignments_pkey")),
        comment="Replica of customers' assignments.",
    )
    op.create_index(
        "assignments_customer", "assignments", ["org_id", "customer_id", "member_id"], unique=False
    )
    op.create_table(
        "audit",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("audit_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "audit_id", name=op.f("audit_pkey")),
    )
    op.create_index("audit_entity", "audit", ["org_id", "entity_id"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "digest_id",
            sa.Uuid(),
            nullable=True,
            comment="The digest that it goes out with; null: on its own.",
        ),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column(
            "last_problem", sa.Text(), nullable=True, comment="A code; never a server's words."
        ),
        sa.Column("first_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "next_attempt_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="While it is claimed: until when.",
        ),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "delivery_id", name=op.f("deliveries_pkey")),
        sa.UniqueConstraint(
            "org_id", "event_id", "member_id", name=op.f("deliveries_org_id_event_id_member_id_key")
        ),
        comment="That a member is told of an order: one a member and event.",
    )
    op.create_index("deliveries_digest", "deliveries", ["org_id", "digest_id"], unique=False)
    op.create_index(
        "deliveries_due",
        "deliveries",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending' AND digest_id IS NULL"),
    )
    op.create_index(
        "deliveries_listed", "deliveries", ["org_id", "created_at", "delivery_id"], unique=False
    )
    op.create_index(
        "deliveries_member",
        "deliveries",
        ["org_id", "member_id", "created_at", "delivery_id"],
        unique=False,
    )
    op.create_index("deliveries_order", "deliveries", ["org_id", "order_id"], unique=False)
    op.create_index(
        "deliveries_settled",
        "deliveries",
        ["settled_at"],
        unique=False,
        postgresql_where=sa.text("settled_at IS NOT NULL"),
    )
    op.create_table(
        "digests",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("digest_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False, comment="In the organization's zone."),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column(
            "last_problem", sa.Text(), nullable=True, comment="A code; never a server's words."
        ),
        sa.Column("first_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "next_attempt_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="While it is claimed: until when.",
        ),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "digest_id", name=op.f("digests_pkey")),
        sa.UniqueConstraint(
            "org_id", "member_id", "day", name=op.f("digests_org_id_member_id_day_key")
        ),
        comment="A member's mail of a day, about all of its deliveries.",
    )
    op.create_index(
        "digests_due",
        "digests",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "digests_settled",
        "digests",
        ["settled_at"],
        unique=False,
        postgresql_where=sa.text("settled_at IS NOT NULL"),
    )
    op.create_table(
        "inbox",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "arrived_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("event_id", name=op.f("inbox_pkey")),
    )
    op.create_index("inbox_arrived", "inbox", ["arrived_at"], unique=False)
    op.create_table(
        "members",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("permissions", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("ticks", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("collections", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "member_id", name=op.f("members_pkey")),
    )
    op.create_table(
        "notices",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("placed_by", sa.Uuid(), nullable=True),
        sa.Column(
            "main_id",
            sa.Uuid(),
            nullable=True,
            comment="As orders knew them, as are the additionals.",
        ),
        sa.Column("additional_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("assignment_seq", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="The order's."),
        sa.Column(
            "content",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="What the mail tells; personal data.",
        ),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_look_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "fixed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was fixed who is told; never again.",
        ),
        sa.PrimaryKeyConstraint("org_id", "event_id", name=op.f("notices_pkey")),
        sa.UniqueConstraint("org_id", "order_id", name="notices_order"),
        comment="Orders that came in.",
    )
    op.create_index(
        "notices_due",
        "notices",
        ["next_look_at"],
        unique=False,
        postgresql_where=sa.text("fixed_at IS NULL"),
    )
    op.create_index(
        "notices_fixed",
        "notices",
        ["fixed_at"],
        unique=False,
        postgresql_where=sa.text("fixed_at IS NOT NULL"),
    )
    op.create_table(
        "organizations",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("settings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("seat_limit", sa.Integer(), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", name=op.f("organizations_pkey")),
    )
    op.create_table(
        "preferences",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("new_orders", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=True, comment="Null: the membership's."),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "member_id", name=op.f("preferences_pkey")),
    )
    op.create_table(
        "replica_positions",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "source", name=op.f("replica_positions_pkey")),
    )

    everything = ("select", "insert", "update")
    for table in ("organizations", "members"):
        grant(table, api=("select",), worker=everything)
        isolate(table)
    for table in ("assignments", "replica_positions"):
        grant(table, worker=everything)
        isolate(table)
    grant("preferences", api=everything, worker=("select",))
    isolate("preferences")
    # Notices hold what orders are about: the API shows none of it, and reads none of it.
    grant("notices", worker=(*everything, "delete"))
    grant("digests", worker=(*everything, "delete"))
    grant("deliveries", api=("select",), worker=(*everything, "delete"))
    for table in ("notices", "digests", "deliveries"):
        isolate(table)
        show_all_to_worker(table)
    grant("inbox", worker=("select", "insert", "update", "delete"))
    grant("audit", api=("insert",), worker=("insert",))
    isolate("audit")
