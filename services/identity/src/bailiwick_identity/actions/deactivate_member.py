"""Deactivate a member: from then on they may do nothing, and their sessions are over (S7)."""

from __future__ import annotations

from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.write_responses import Written
from bailiwick_identity.domain.grants import check_grant
from bailiwick_identity.domain.member import Member
from bailiwick_identity.rules.authorize import check_leaders, permitted
from bailiwick_identity.store.unit_of_work import OpenUnit
from bailiwick_kit.web.etags import Expected


async def deactivate_member(
    open_unit: OpenUnit, gate: Gate, caller: Caller, member_id: UUID, expected: Expected
) -> Written[Member]:
    """Deactivate a member, withdraw an invitation, or stop a service account; it frees a seat.

    Raises:
        Forbidden, Missing: the caller may not, or the member stands above them (GrantNotHeld).
        PreconditionRequired, Stale: the version is not named, or not the present one.
        LastBrandManager, AlreadyInactive: it is not possible now.
    """
    async with open_unit(caller.org_id, caller.now) as unit:
        found = await permitted(unit, gate, caller, member_id, "deactivate")
        check_grant(found.granter.grants, found.member.grants, found.member.grants)
        expected.check(found.member.version)
        member = found.member.deactivate()
        await check_leaders(unit, caller.now, found.member, member)
        await unit.members.save(member)
        await unit.members.end_sessions(member_id, caller.now)
        await unit.note("member.deactivate", caller.member_id, member_id)
    return Written.one(member_id, member)
