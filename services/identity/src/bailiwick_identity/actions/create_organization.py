"""Create an organization with its first brand manager: an operator's act, not one of the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from bailiwick_identity.domain import password
from bailiwick_identity.domain.member import OPERATOR, NewMember
from bailiwick_identity.domain.organization import Organization
from bailiwick_identity.rules.membership import check_new, enrol
from bailiwick_identity.store.passwords import ArgonPasswords
from bailiwick_identity.store.sign_ins import StoredSignIns
from bailiwick_identity.store.unit_of_work import OpenUnit
from bailiwick_kit.errors import Fault, Invalid


@dataclass(frozen=True)
class NewOrganization:
    """What a new organization is made from."""

    name: str
    time_zone: str
    currency: str
    package: str
    seat_limit: int | None
    manager: NewMember


@dataclass(frozen=True)
class Founded:
    """An organization and its first brand manager; `created` is false where both were there."""

    org_id: UUID
    member_id: UUID
    created: bool


async def create_organization(
    open_unit: OpenUnit,
    sign_ins: StoredSignIns,
    passwords: ArgonPasswords,
    new: NewOrganization,
    now: datetime,
    *,
    if_absent: bool,
) -> Founded:
    """Create the organization and its manager in one transaction.

    `if_absent` gives back the organization of that name that the manager's account is a member of.

    Raises:
        Invalid: something is wrong with it; or the address has an account with another password.
    """
    account = await sign_ins.account(new.manager.email)
    if account is not None and if_absent:
        for one in await sign_ins.memberships(account.account_id):
            if one.organization == new.name:
                return Founded(one.org_id, one.member_id, created=False)
    secret = password.normalized(new.manager.password)
    if account is not None:
        correct, _ = await passwords.verify(secret, account.password_hash)
        if not correct:
            message = "This address has an account: give its own password, or another address"
            raise Invalid(faults=(Fault("password", "not-the-accounts", message),))
    check_new(new.manager, new.name, now)
    password_hash = await passwords.hash(secret)
    organization = Organization(
        org_id=uuid7(),
        name=new.name,
        time_zone=new.time_zone,
        currency=new.currency,
        package=new.package,
        seat_limit=new.seat_limit,
    )
    async with open_unit(organization.org_id, now) as unit:
        await unit.organizations.add(organization)
        account_id, _ = await unit.accounts.ensure(new.manager.email, password_hash, now)
        manager = await enrol(unit, organization, new.manager, account_id, now, accepted=True)
        await unit.note("organization.create", OPERATOR, organization.org_id)
        await unit.note("member.create", OPERATOR, manager.member_id)
    return Founded(organization.org_id, manager.member_id, created=True)
