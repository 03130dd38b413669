"""identity's tables. Members and organizations are what other services keep replicas of, and more.

Keys begin with the organization, except those of accounts, sessions and failed sign-ins, which belong to
none and have no row-level security (D4). Signing keys are in no table at all.
"""

from __future__ import annotations

import sqlalchemy as sa

from bailiwick_access.tables import member_columns, organization_columns
from bailiwick_kit.bus.outbox import outbox_table
from bailiwick_kit.database.audit import audit_table
from bailiwick_kit.database.engine import NAMING
from bailiwick_kit.imports.imported_rows import imported_rows_table
from bailiwick_kit.replication.change_counter import change_counters_table
from bailiwick_kit.web.idempotency import idempotency_keys as idempotency_keys_table

metadata = sa.MetaData(naming_convention=NAMING)

change_counters = change_counters_table(metadata)
outbox = outbox_table(metadata)
audit = audit_table(metadata)
imported_rows = imported_rows_table(metadata)
idempotency_keys = idempotency_keys_table(metadata)

_instant = sa.DateTime(timezone=True)

organizations = sa.Table(
    "organizations",
    metadata,
    *organization_columns(),
    sa.Index("organizations_seq", "org_id", "seq"),
)

members = sa.Table(
    "members",
    metadata,
    *member_columns(),
    sa.Column("account_id", sa.Uuid, comment="Null for a service account."),
    sa.Column(
        "accepted_at", _instant, comment="Null until its account's owner accepts the invitation."
    ),
    sa.Column("listed_at", _instant, nullable=False, comment="When it was made; lists go by it."),
    sa.Column("search", sa.Text, nullable=False, comment="What the version before searches."),
    sa.Column("words", sa.Text, comment="What it is found by; each has a space before it."),
    sa.Column("words_version", sa.Integer, comment="Which version's words these are."),
    sa.Column("import_source", sa.Text),
    sa.Column("external_ref", sa.Text),
    sa.UniqueConstraint("org_id", "account_id"),
    sa.UniqueConstraint("org_id", "import_source", "external_ref"),
    sa.Index("members_listed", "org_id", "listed_at", "member_id"),
    sa.Index("members_seq", "org_id", "seq"),
    sa.Index("members_account", "account_id"),
    sa.Index("members_service", "member_id", postgresql_where=sa.text("kind = 'service'")),
)

service_secrets = sa.Table(
    "service_secrets",
    metadata,
    sa.Column("org_id", sa.Uuid, primary_key=True),
    sa.Column("member_id", sa.Uuid, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False, comment="SHA-256 of 256 random bits."),
)

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("account_id", sa.Uuid, primary_key=True),
    sa.Column("email", sa.Text, nullable=False, unique=True, comment="Normalized, lower case."),
    sa.Column("password_hash", sa.Text, nullable=False, comment="argon2id, with its parameters."),
    sa.Column("created_at", _instant, nullable=False),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("session_id", sa.Uuid, primary_key=True),
    sa.Column("account_id", sa.Uuid, nullable=False),
    sa.Column("org_id", sa.Uuid, nullable=False),
    sa.Column("member_id", sa.Uuid, nullable=False),
    sa.Column("began_at", _instant, nullable=False),
    sa.Column("expires_at", _instant, nullable=False),
    sa.Column("ended_at", _instant),
    sa.Index("sessions_member", "org_id", "member_id"),
    sa.Index("sessions_expiry", "expires_at"),
)

refresh_tokens = sa.Table(
    "refresh_tokens",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True, comment="SHA-256 of the token."),
    sa.Column("session_id", sa.Uuid, nullable=False),
    sa.Column("issued_at", _instant, nullable=False),
    sa.Column("rotated_at", _instant, comment="When it was used first."),
    sa.Index("refresh_tokens_session", "session_id"),
    sa.Index("refresh_tokens_issued", "issued_at"),
)

sign_in_attempts = sa.Table(
    "sign_in_attempts",
    metadata,
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("since", _instant, nullable=False),
    sa.Index("sign_in_attempts_since", "since"),
)
