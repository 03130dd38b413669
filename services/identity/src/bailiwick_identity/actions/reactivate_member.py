"""Let a member come back, with the grants they had: the same membership as before."""

from __future__ import annotations

from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.write_responses import Written
from bailiwick_identity.domain.grants import check_grant
from bailiwick_identity.domain.member import Member
from bailiwick_identity.rules.authorize import check_seats, permitted
from bailiwick_identity.store.unit_of_work import OpenUnit
from bailiwick_kit.web.etags import Expected


async def reactivate_member(
    open_unit: OpenUnit, gate: Gate, caller: Caller, member_id: UUID, expected: Expected
) -> Written[Member]:
    """Reactivate a member; who never accepted is invited again. It takes a seat.

    Raises:
        Forbidden, Missing: the caller may not, or does not hold those grants (GrantNotHeld).
        PreconditionRequired, Stale: the version is not named, or not the present one.
        AlreadyActive, SeatLimitReached: it is not possible now.
    """
    async with open_unit(caller.org_id, caller.now) as unit:
        found = await permitted(unit, gate, caller, member_id, "grant")
        check_grant(found.granter.grants, None, found.member.grants)
        expected.check(found.member.version)
        member = found.member.reactivate()
        await check_seats(unit, found.organization, caller.now, found.member, member)
        await unit.members.save(member)
        await unit.note("member.reactivate", caller.member_id, member_id)
    return Written.one(member_id, member)
