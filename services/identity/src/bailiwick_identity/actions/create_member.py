"""Create a member with email and password (V12), without telling whether the address has an account (D3)."""

from __future__ import annotations

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.repetition import claimed
from bailiwick_access.requests import Act
from bailiwick_access.write_responses import Repeated, Written
from bailiwick_identity.domain import password
from bailiwick_identity.domain.grants import check_grant
from bailiwick_identity.domain.member import Member, NewMember
from bailiwick_identity.rules.authorize import locked
from bailiwick_identity.rules.membership import check_new, enrol
from bailiwick_identity.store.passwords import ArgonPasswords
from bailiwick_identity.store.unit_of_work import OpenUnit
from bailiwick_kit.web.submitted import Submitted


async def create_member(
    open_unit: OpenUnit,
    gate: Gate,
    passwords: ArgonPasswords,
    caller: Caller,
    submitted: Submitted[NewMember],
    act: Act | None,
) -> Written[Member] | Repeated:
    """Create the member. Where the address has an account, the password is discarded and they are invited.

    The password is hashed and the account looked for in either case, so that time tells nothing.

    Raises:
        Forbidden: the caller does not create members, or not with these grants (GrantNotHeld).
        Invalid: a field is wrong, or the password is too easily guessed.
        Conflict: they are a member already, or no seat is left.
    """
    await gate.decide(caller, "members", "create")
    new = submitted.read()
    password_hash = await passwords.hash(password.normalized(new.password))
    async with open_unit(caller.org_id, caller.now) as unit:
        key = await claimed(unit, act)
        if key.repeated:
            return key.repeated
        claim = key.claim()
        organization, granter = await locked(unit, caller)
        await gate.decide(await unit.again(caller), "members", "create")
        check_grant(granter.grants, None, new.grants)
        check_new(new, organization.name, caller.now)
        account_id, made = await unit.accounts.ensure(new.email, password_hash, caller.now)
        member = await enrol(unit, organization, new, account_id, caller.now, accepted=made)
        await unit.note(
            "member.create", caller.member_id, member.member_id, {"status": member.status.value}
        )
        await unit.remember(claim, member.member_id)
    return Written.one(member.member_id, member)
