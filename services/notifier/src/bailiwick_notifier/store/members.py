"""Reads members with their organization, as a worker needs them."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from bailiwick_access.caller import Caller
from bailiwick_notifier.store.tables import members, organizations


@dataclass(frozen=True)
class Person:
    """A member, or a storefront, as the replica of identity has them now."""

    caller: Caller
    """What policy is told when it is asked about them."""
    organization_name: str
    is_active: bool
    """A person, and in force now: a storefront reads no mail."""
    email: str | None
    language: str


PEOPLE = (
    sa.select(
        members,
        *organizations.c["settings", "time_zone", "currency"],
        organizations.c.name.label("organization_name"),
    )
    .join_from(members, organizations, members.c.org_id == organizations.c.org_id)
    .where(members.c.org_id == sa.bindparam("org_id", type_=sa.Uuid))
)
"""All members of an organization. Binds `org_id`."""

_now = sa.bindparam("now", type_=sa.DateTime(timezone=True))
NAMED = PEOPLE.where(
    members.c.member_id == sa.any_(sa.bindparam("member_ids", type_=sa.ARRAY(sa.Uuid)))
)
"""Those who are named. Binds also `member_ids`."""
ACTIVE = PEOPLE.where(
    members.c.kind == "member",
    members.c.status == "active",
    members.c.valid_from <= _now,
    members.c.valid_until > _now,
).order_by(members.c.member_id)
"""Those who are active. Binds also `now`."""
