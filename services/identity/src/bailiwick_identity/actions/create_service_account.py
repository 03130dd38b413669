"""Create a service account: a storefront that orders for customers, with a secret shown once (D2)."""

from __future__ import annotations

import secrets

from uuid_utils.compat import uuid7

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.repetition import claimed
from bailiwick_access.requests import Act
from bailiwick_access.write_responses import Repeated, Written
from bailiwick_identity.domain.account import secret_digest
from bailiwick_identity.domain.grants import Grants, Mode, check_grant
from bailiwick_identity.domain.member import Kind, Member, Status
from bailiwick_identity.rules.authorize import locked
from bailiwick_identity.store.unit_of_work import OpenUnit
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_kit.web.submitted import Submitted


async def create_service_account(
    open_unit: OpenUnit, gate: Gate, caller: Caller, submitted: Submitted[str], act: Act | None
) -> tuple[Written[Member] | Repeated, str | None]:
    """Create the account and return its secret; a repetition of the request does not get it again.

    Raises:
        Forbidden: the caller does not create members, or holds no integrations (GrantNotHeld).
        Invalid: the name is wrong.
        Conflict: the same request is under way, or its key came with another body.
    """
    async with open_unit(caller.org_id, caller.now) as unit:
        key = await claimed(unit, act)
        if key.repeated:
            return key.repeated, None
        await gate.decide(caller, "members", "create")
        claim = key.claim()
        name = submitted.read()
        _, granter = await locked(unit, caller)
        await gate.decide(await unit.again(caller), "members", "create")
        storefront = Grants(Mode.ROLE)
        check_grant(granter.grants, None, storefront)
        member = Member(
            org_id=caller.org_id,
            member_id=uuid7(),
            kind=Kind.SERVICE,
            grants=storefront,
            status=Status.ACTIVE,
            valid_from=caller.now,
            valid_until=END_OF_TIME,
            name=name,
            email=None,
            language="en",
            created_at=caller.now,
            account_id=None,
            accepted_at=caller.now,
        )
        secret = secrets.token_urlsafe(32)
        await unit.members.add(member)
        await unit.members.keep_secret(member.member_id, secret_digest(secret))
        await unit.note("service-account.create", caller.member_id, member.member_id)
        await unit.remember(claim, member.member_id)
    return Written.one(member.member_id, member), secret
