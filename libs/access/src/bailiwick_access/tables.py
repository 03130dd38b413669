"""Members and organizations as every service knows them: identity's own, replicas everywhere else.

identity declares its tables with these columns and more, so that resolving a caller is one statement
that is the same in all services.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB


def organization_columns() -> list[sa.Column[object]]:
    """Return the columns of an organization as `identity.organization.changed` tells it."""
    return [
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("settings", JSONB, nullable=False),
        sa.Column("package", sa.Text, nullable=False),
        sa.Column("seat_limit", sa.Integer),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
    ]


def member_columns() -> list[sa.Column[object]]:
    """Return the columns of a membership as `identity.member.changed` tells it."""
    return [
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("member_id", sa.Uuid, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("role", sa.Text),
        sa.Column("permissions", ARRAY(sa.Text), nullable=False),
        sa.Column("ticks", JSONB, nullable=False),
        sa.Column("collections", ARRAY(sa.Uuid), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("email", sa.Text),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
    ]


def organizations_table(metadata: sa.MetaData) -> sa.Table:
    """Declare the replica of organizations."""
    return sa.Table("organizations", metadata, *organization_columns())


def members_table(metadata: sa.MetaData) -> sa.Table:
    """Declare the replica of members."""
    return sa.Table("members", metadata, *member_columns())
