"""Who may do a thing to a member: asked inside the transaction that does it, on rows that stay put."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bailiwick_access.caller import Caller
from bailiwick_access.gate import Gate
from bailiwick_identity.actions.ports import Unit
from bailiwick_identity.domain.errors import LastBrandManager, SeatLimitReached
from bailiwick_identity.domain.member import Member
from bailiwick_identity.domain.organization import Organization
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_kit.errors import Missing


@dataclass(frozen=True)
class Permitted:
    """The member that may be changed, who changes it, and the organization they are both in."""

    organization: Organization
    member: Member
    granter: Member


def facts_of(member: Member) -> Mapping[str, object]:
    """Return what policy is told of a member's row."""
    return {"org_id": str(member.org_id)}


async def permitted(
    unit: Unit, gate: Gate, caller: Caller, member_id: UUID, action: str
) -> Permitted:
    """Return the member if the caller may do this to it.

    The organization's row is locked first, so that two changes of its members follow one another: seats
    are counted, and brand managers, and the caller's own rights are those that hold now.

    Raises:
        Forbidden: the caller may not, and may know it.
        Missing: there is no such member.
    """
    organization = await unit.organizations.locked()
    member = await unit.members.one(member_id)
    granter = await unit.members.one(caller.member_id)
    await gate.decide(caller, "members", action, member=facts_of(member) if member else None)
    if member is None or granter is None:  # the gate has refused already; for the type checker
        raise Missing
    return Permitted(organization, member, granter)


async def check_seats(
    unit: Unit, organization: Organization, now: datetime, before: Member | None, after: Member
) -> None:
    """Refuse to take a seat where none is left; who has one keeps it.

    Raises:
        SeatLimitReached: all of them are taken.
    """
    if organization.seat_limit is None or not after.uses_seat(now):
        return
    if before is not None and before.uses_seat(now):
        return
    used = await unit.members.seats_used(now)
    if used >= organization.seat_limit:
        raise SeatLimitReached(
            "Deactivate a member, or ask for a larger package.",
            facts={"seat_limit": organization.seat_limit, "seats_used": used},
        )


async def check_leaders(unit: Unit, now: datetime, before: Member, after: Member) -> None:
    """Refuse to leave the organization without a brand manager who stays.

    Raises:
        LastBrandManager: this is the last one.
    """
    if before.leads(now, END_OF_TIME) and not after.leads(now, END_OF_TIME):
        if await unit.members.has_other_leader(before.member_id, now):
            return
        raise LastBrandManager("Make somebody else a brand manager first, without an end.")
