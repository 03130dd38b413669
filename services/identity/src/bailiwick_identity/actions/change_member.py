"""Change what a membership grants, its name, language or end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.write_responses import Written
from bailiwick_identity.domain.grants import check_grant, regranted
from bailiwick_identity.domain.member import Kind, Member
from bailiwick_identity.rules.authorize import check_leaders, check_seats, permitted
from bailiwick_identity.rules.membership import check_interval
from bailiwick_identity.store.unit_of_work import OpenUnit
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_kit.errors import Fault, Invalid
from bailiwick_kit.web.etags import Expected
from bailiwick_kit.web.submitted import Submitted

GRANTS = frozenset({"mode", "role", "permissions", "ticks", "collections"})


async def change_member(
    open_unit: OpenUnit,
    gate: Gate,
    caller: Caller,
    member_id: UUID,
    expected: Expected,
    submitted: Submitted[Mapping[str, Any]],
) -> Written[Member]:
    """Change the fields that were sent; the others stay.

    Raises:
        Forbidden, Missing: the caller may not, or does not hold what is granted (GrantNotHeld).
        PreconditionRequired, Stale: the version is not named, or not the present one.
        Invalid: grants do not go together, or are above a custom member's ceiling.
        Conflict: the last brand manager would go, or no seat is left.
    """
    async with open_unit(caller.org_id, caller.now) as unit:
        found = await permitted(unit, gate, caller, member_id, "grant")
        expected.check(found.member.version)
        changes = submitted.read()
        member = _changed(found.member, changes)
        if (member.grants, member.valid_until) != (found.member.grants, found.member.valid_until):
            # A longer membership is the same grants again; a shorter one takes them.
            check_grant(found.granter.grants, found.member.grants, member.grants)
        if member.valid_until != found.member.valid_until:
            check_interval(member.valid_from, member.valid_until, caller.now)
        await check_leaders(unit, caller.now, found.member, member)
        await check_seats(unit, found.organization, caller.now, found.member, member)
        await unit.members.save(member)
        await unit.note(
            "member.change",
            caller.member_id,
            member_id,
            {"fields": sorted(changes), **_grants_told(found.member, member)},
        )
    return Written.one(member_id, member)


def _changed(member: Member, changes: Mapping[str, Any]) -> Member:
    grants = {name: value for name, value in changes.items() if name in GRANTS}
    others = {name: value for name, value in changes.items() if name not in GRANTS}
    if "valid_until" in others and others["valid_until"] is None:
        others["valid_until"] = END_OF_TIME
    if member.kind is Kind.SERVICE and grants:
        message = "Leave it out: a service account is a storefront and nothing else"
        raise Invalid(faults=tuple(Fault(name, "not-allowed", message) for name in sorted(grants)))
    regrant = regranted(member.grants, grants) if grants else member.grants
    return replace(member, grants=regrant, version=member.version + 1, **others)


def _grants_told(before: Member, after: Member) -> dict[str, Any]:
    """Return what the audit trail keeps of a regrant: codes, no personal data."""
    if before.grants == after.grants:
        return {}

    def told(member: Member) -> dict[str, Any]:
        grants = member.grants
        return {
            "mode": grants.mode.value,
            "role": grants.role.value if grants.role else None,
            "permissions": sorted(grants.permissions),
            "ticks": dict(grants.ticks),
            "collections": [str(one) for one in grants.collections],
        }

    return {"before": told(before), "after": told(after)}
