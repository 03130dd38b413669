"""Accept an invitation: only the account's own owner does, once signed in (D3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from bailiwick_access.write_responses import Written
from bailiwick_identity.domain.account import Membership
from bailiwick_identity.domain.member import Member
from bailiwick_identity.store.sign_ins import StoredSignIns
from bailiwick_identity.store.unit_of_work import OpenUnit
from bailiwick_kit.errors import Missing
from bailiwick_kit.web.submitted import Submitted


async def accept_membership(
    open_unit: OpenUnit,
    sign_ins: StoredSignIns,
    account_id: UUID,
    member_id: UUID,
    submitted: Submitted[Any],
    now: datetime,
) -> tuple[Written[Member], Membership]:
    """Make the invitation an active membership; return it as its owner knows it.

    Raises:
        Missing: it is nobody's, or another's.
        Malformed, Invalid: something is sent, where there is nothing to say.
        NotInvited: it is accepted already, withdrawn or over.
    """
    found = [one for one in await sign_ins.memberships(account_id) if one.member_id == member_id]
    if not found or found[0].account_id != account_id:
        raise Missing
    async with open_unit(found[0].org_id, now) as unit:
        await unit.organizations.locked()
        invited = await unit.members.one(member_id)
        if invited is None:
            raise Missing
        submitted.read()
        member = invited.accept(now)
        await unit.members.save(member)
        await unit.note("member.accept", member_id, member_id)
    accepted = replace(found[0], status=member.status, valid_until=member.valid_until)
    return Written.one(member_id, member), accepted
