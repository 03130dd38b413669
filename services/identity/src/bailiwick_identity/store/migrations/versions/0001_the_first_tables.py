"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

from bailiwick_kit.database.migrations import grant, isolate, show_all_to_worker

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Its schema is named and its path is fixed: nothing that a caller makes can stand in for a table or an
# operator. It runs as the owner of the tables, who has a policy of their own for it, since row-level
# security is forced; and it is the only function of its kind (D4).
MEMBERSHIPS_OF = """
CREATE FUNCTION memberships_of(who uuid)
RETURNS TABLE (
    org_id uuid, member_id uuid, account_id uuid, kind text, status text,
    valid_from timestamptz, valid_until timestamptz, version integer, organization text
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT m.org_id, m.member_id, m.account_id, m.kind, m.status,
           m.valid_from, m.valid_until, m.version, o.name
    FROM public.members AS m JOIN public.organizations AS o ON o.org_id = m.org_id
    WHERE m.account_id = who OR (m.kind = 'service' AND m.member_id = who)
    ORDER BY m.member_id
$$
"""


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False, comment="Normalized, lower case."),
        sa.Column(
            "password_hash", sa.Text(), nullable=False, comment="argon2id, with its parameters."
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("accounts_pkey")),
        sa.UniqueConstraint("email", name=op.f("accounts_email_key")),
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
        "change_counters",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", name=op.f("change_counters_pkey")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("caller", sa.Uuid(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "org_id", "caller", "method", "path", "key", name=op.f("idempotency_keys_pkey")
        ),
    )
    op.create_index(
        op.f("idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False
    )
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
        sa.Column("account_id", sa.Uuid(), nullable=True, comment="Null for a service account."),
        sa.Column(
            "accepted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Null until its account's owner accepts the invitation.",
        ),
        sa.Column(
            "listed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When it was made; lists go by it.",
        ),
        sa.Column(
            "search", sa.Text(), nullable=False, comment="Name and email, folded for search."
        ),
        sa.Column("import_source", sa.Text(), nullable=True),
        sa.Column("external_ref", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "member_id", name=op.f("members_pkey")),
        sa.UniqueConstraint("org_id", "account_id", name=op.f("members_org_id_account_id_key")),
        sa.UniqueConstraint(
            "org_id",
            "import_source",
            "external_ref",
            name=op.f("members_org_id_import_source_external_ref_key"),
        ),
    )
    op.create_index("members_account", "members", ["account_id"], unique=False)
    op.create_index("members_listed", "members", ["org_id", "listed_at", "member_id"], unique=False)
    op.create_index("members_seq", "members", ["org_id", "seq"], unique=False)
    op.create_index(
        "members_service",
        "members",
        ["member_id"],
        unique=False,
        postgresql_where=sa.text("kind = 'service'"),
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
    op.create_index("organizations_seq", "organizations", ["org_id", "seq"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("trace_parent", sa.Text(), nullable=True),
        sa.Column(
            "recipient",
            sa.Text(),
            nullable=True,
            comment="One consumer's queue, for snapshots; else null.",
        ),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("outbox_pkey")),
        sa.UniqueConstraint("event_id", name=op.f("outbox_event_id_key")),
    )
    op.create_index(
        "outbox_sent",
        "outbox",
        ["sent_at"],
        unique=False,
        postgresql_where=sa.text("sent_at IS NOT NULL"),
    )
    op.create_index(
        "outbox_unsent",
        "outbox",
        ["position"],
        unique=False,
        postgresql_where=sa.text("sent_at IS NULL"),
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of the token."),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "rotated_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was used first.",
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("refresh_tokens_pkey")),
    )
    op.create_index("refresh_tokens_session", "refresh_tokens", ["session_id"], unique=False)
    op.create_table(
        "service_secrets",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column(
            "digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of 256 random bits."
        ),
        sa.PrimaryKeyConstraint("org_id", "member_id", name=op.f("service_secrets_pkey")),
    )
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("session_id", name=op.f("sessions_pkey")),
    )
    op.create_index("sessions_expiry", "sessions", ["expires_at"], unique=False)
    op.create_index("sessions_member", "sessions", ["org_id", "member_id"], unique=False)
    op.create_table(
        "sign_in_attempts",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("sign_in_attempts_pkey")),
    )
    op.create_index("sign_in_attempts_since", "sign_in_attempts", ["since"], unique=False)

    everything = ("select", "insert", "update")
    for table in ("organizations", "members", "change_counters"):
        grant(table, api=everything, worker=("select",))
        isolate(table)
    grant("service_secrets", api=("select", "insert"))
    isolate("service_secrets")
    grant("idempotency_keys", api=everything, worker=("select", "delete"))
    isolate("idempotency_keys")
    grant("audit", api=("insert",), worker=("insert",))
    isolate("audit")
    grant("outbox", api=("insert",), worker=("select", "insert", "update", "delete"))
    grant("accounts", api=everything)
    for table in ("sessions", "refresh_tokens", "sign_in_attempts"):
        grant(table, api=everything, worker=("select", "delete"))
    show_all_to_worker("change_counters")
    show_all_to_worker("idempotency_keys")

    for table in ("organizations", "members"):
        op.execute(f"CREATE POLICY sign_in ON {table} FOR SELECT TO CURRENT_USER USING (true)")
    op.execute(MEMBERSHIPS_OF)
    op.execute("REVOKE ALL ON FUNCTION memberships_of(uuid) FROM PUBLIC")
    api_role = context.config.attributes["api_role"]
    op.execute(f'GRANT EXECUTE ON FUNCTION memberships_of(uuid) TO "{api_role}"')
