"""Who may do a thing to a member: asked inside the transaction that does it, on rows that stay put."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_contracts.reasons import Reason
from bailiwick_identity.domain.errors import GrantNotHeld, LastBrandManager, SeatLimitReached
from bailiwick_identity.domain.grants import beyond
from bailiwick_identity.domain.member import Member
from bailiwick_identity.domain.organization import Organization
from bailiwick_identity.store.unit_of_work import Unit
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_kit.errors import Forbidden, Missing


@dataclass(frozen=True)
class Permitted:
    """The member that may be changed, who changes it, and the organization they are both in."""

    organization: Organization
    member: Member
    granter: Member


def facts_of(member: Member, missing: Collection[str] = ()) -> Mapping[str, object]:
    """Return what policy is told of a member's row; `missing` is what they hold and the caller does not."""
    return {"org_id": str(member.org_id), "above": bool(missing)}


async def permitted(
    unit: Unit, gate: Gate, caller: Caller, member_id: UUID, action: str
) -> Permitted:
    """Return the member if the caller may do this to it.

    The organization's row is locked first, so that two changes of its members follow one another: seats
    are counted, and brand managers. The caller's rights are read after it: they may have been taken
    while this waited for the lock.

    Raises:
        Forbidden: the caller may not, and may know it; GrantNotHeld: the member stands above them.
        Missing: there is no such member.
    """
    organization, granter = await locked(unit, caller)
    member = await unit.members.one(member_id)
    missing = _missing(granter, member)
    facts = facts_of(member, missing) if member else None
    try:
        await gate.decide(await unit.again(caller), "members", action, member=facts)
    except Forbidden as refusal:
        if refusal.reasons == (Reason.GRANT_NOT_HELD,):
            told = {"missing": sorted(missing)}
            raise GrantNotHeld(refusal.detail, reasons=refusal.reasons, facts=told) from None
        raise
    if member is None:  # the gate has refused already; for the type checker
        raise Missing
    return Permitted(organization, member, granter)


async def locked(unit: Unit, caller: Caller) -> tuple[Organization, Member]:
    """Lock the organization's row; return it with the caller's membership as it is now.

    Every change of members or settings takes this lock first and no other row's before it, so none
    waits for another in a circle.
    """
    organization = await unit.organizations.locked()
    granter = await unit.members.one(caller.member_id)
    if granter is None:
        raise Missing
    return organization, granter


def _missing(granter: Member, member: Member | None) -> frozenset[str]:
    """Return what a member holds and the granter does not; nobody stands above themselves."""
    if member is None or member.member_id == granter.member_id:
        return frozenset()
    return beyond(granter.grants, member.grants)


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
