"""The caller of a request: a token says who, the membership that this service knows says with what rights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from bailiwick_contracts.identity import Settings
from bailiwick_kit.errors import Missing, Unavailable
from bailiwick_kit.tokens.access_tokens import Claims


class MembershipNotHereYet(Unavailable):
    """The token knows a newer membership than this service does, and the change did not arrive in time."""

    code = "membership-not-here-yet"
    title = "Your membership has just changed"


class RightsChanged(Unavailable):
    """The caller's rights changed while the act waited for its turn: it is decided from the start."""

    code = "rights-changed"
    title = "Your rights have just changed"


@dataclass(frozen=True)
class Caller:
    """Who calls, at which instant, with the rights that this service's replica gives them."""

    org_id: UUID
    member_id: UUID
    account_id: UUID
    name: str | None
    settings: Settings
    time_zone: str
    currency: str
    now: datetime
    subject: Mapping[str, object]
    """What policy is told of the caller. Built here and nowhere else."""

    @property
    def is_invited(self) -> bool:
        """Tell whether an invitation has not been accepted, as far as this service knows."""
        return self.subject["status"] == "invited"

    def has_rights_of(self, before: Caller) -> bool:
        """Tell whether the rights are the same as before."""
        return (self.subject, self.settings) == (before.subject, before.settings)

    def check_rights_of(self, before: Caller) -> None:
        """Refuse to go on with an act of which a part may have been decided by other rights.

        Raises:
            RightsChanged: they are not the same.
        """
        if not self.has_rights_of(before):
            raise RightsChanged("Nothing was done. Send it again.", retry_after=1)


class Callers:
    """Turns a verified token into a caller."""

    def __init__(self, members: sa.Table, organizations: sa.Table) -> None:
        self._statement = (
            sa.select(members, *organizations.c["settings", "time_zone", "currency"])
            .join_from(members, organizations, members.c.org_id == organizations.c.org_id)
            .where(
                members.c.org_id == sa.bindparam("org_id"),
                members.c.member_id == sa.bindparam("member_id"),
            )
        )

    async def resolve(
        self, connection: AsyncConnection, claims: Claims, now: datetime
    ) -> Caller | None:
        """Return the caller, None where the token is ahead of the replica."""
        row = await self._row(connection, claims.org_id, claims.member_id)
        if row is None or row["version"] < claims.member_version:
            return None
        return caller_of(row, claims.account, now)

    async def again(self, connection: AsyncConnection, caller: Caller, now: datetime) -> Caller:
        """Return the caller at a later instant, with the rights that hold then: for who waited for a lock.

        Raises:
            MembershipNotHereYet: the membership is gone.
        """
        row = await self._row(connection, caller.org_id, caller.member_id)
        if row is None:
            raise MembershipNotHereYet("Try again in a second.", retry_after=1)
        return caller_of(row, caller.account_id, now)

    async def at_command_line(
        self, connection: AsyncConnection, org_id: UUID, member_id: UUID, now: datetime
    ) -> Caller:
        """Return the caller that an operator names: no token, and the rights that the member has.

        Raises:
            Missing: the replica knows no such member.
        """
        row = await self._row(connection, org_id, member_id)
        if row is None:
            raise Missing("Name a member of the organization.")
        return caller_of(row, member_id, now)

    async def _row(
        self, connection: AsyncConnection, org_id: UUID, member_id: UUID
    ) -> RowMapping | None:
        found = await connection.execute(
            self._statement, {"org_id": org_id, "member_id": member_id}
        )
        return found.mappings().first()


def caller_of(row: RowMapping, account_id: UUID, now: datetime) -> Caller:
    """Return the caller in a row of members with their organization's settings, time zone and currency."""
    return Caller(
        org_id=row["org_id"],
        member_id=row["member_id"],
        account_id=account_id,
        name=row["name"],
        settings=Settings.model_validate(row["settings"]),
        time_zone=row["time_zone"],
        currency=row["currency"],
        now=now,
        subject=subject_of(row, now),
    )


def subject_of(row: RowMapping, now: datetime) -> Mapping[str, object]:
    """Return what policy is told of a member, from their row."""
    return {
        "org_id": str(row["org_id"]),
        "member_id": str(row["member_id"]),
        "kind": row["kind"],
        "mode": row["mode"],
        "role": row["role"],
        "permissions": list(row["permissions"]),
        "ticks": dict(row["ticks"]),
        "collections": [str(collection) for collection in row["collections"]],
        "status": row["status"],
        "expired": not row["valid_from"] <= now < row["valid_until"],
    }
