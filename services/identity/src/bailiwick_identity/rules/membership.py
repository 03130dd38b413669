"""How somebody becomes a member, whoever asks for it: the API, an import, the first brand manager."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from bailiwick_identity.domain import password
from bailiwick_identity.domain.errors import MemberExists
from bailiwick_identity.domain.member import Kind, Member, NewMember, Status
from bailiwick_identity.domain.organization import Organization
from bailiwick_identity.rules.authorize import check_seats
from bailiwick_identity.store.unit_of_work import Unit
from bailiwick_kit.clock import END_OF_TIME, START_OF_TIME
from bailiwick_kit.errors import Fault, Invalid


def check_new(new: NewMember, organization: str, now: datetime) -> None:
    """Refuse what cannot become a member.

    Raises:
        PasswordNotAllowed: the password is too easily guessed.
        Invalid: the membership would be over before it begins.
    """
    password.checked(new.password, (organization, new.name, new.email))
    check_interval(new.valid_from or now, new.valid_until or END_OF_TIME, now)


def check_record(new: NewMember, organization: str, now: datetime) -> None:
    """Refuse what cannot have become a member elsewhere: who has left by now is history, and imported.

    Raises:
        PasswordNotAllowed: the password is too easily guessed.
        Invalid: the membership would be over before it begins.
    """
    password.checked(new.password, (organization, new.name, new.email))
    valid_from, valid_until = interval(new.valid_from, new.valid_until, now)
    if valid_until <= valid_from:
        message = "Choose an instant after valid_from"
        raise Invalid(faults=(Fault("valid_until", "ends-before-it-begins", message),))


def interval(
    valid_from: datetime | None, valid_until: datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    """Return from when until when a membership is valid; None stands for now, and for an open end.

    Of who has left, and nobody says since when they were there, it is from the first instant on.
    """
    has_left = valid_until is not None and valid_until <= now
    return valid_from or (START_OF_TIME if has_left else now), valid_until or END_OF_TIME


def check_interval(valid_from: datetime, valid_until: datetime, now: datetime) -> None:
    """Refuse an end that is past, or not after the beginning.

    Raises:
        Invalid: it is.
    """
    if valid_until <= max(valid_from, now):
        message = "Choose an instant to come, after valid_from; to end it now, deactivate"
        raise Invalid(faults=(Fault("valid_until", "ends-before-it-begins", message),))


async def enrol(
    unit: Unit,
    organization: Organization,
    new: NewMember,
    account_id: UUID,
    now: datetime,
    *,
    accepted: bool,
    imported: tuple[str, str] | None = None,
) -> Member:
    """Write the membership: active where its owner is known to want it, else an invitation (D3).

    Raises:
        MemberExists: the account has a membership here, whatever its state.
        SeatLimitReached: there is no seat left.
    """
    if await unit.members.of_account(account_id) is not None:
        raise MemberExists("Find them in the list of members; reactivate them if they have left.")
    source, external_ref = imported or (None, None)
    valid_from, valid_until = interval(new.valid_from, new.valid_until, now)
    member = Member(
        org_id=organization.org_id,
        member_id=uuid7(),
        kind=Kind.MEMBER,
        grants=new.grants,
        status=Status.ACTIVE if accepted else Status.INVITED,
        valid_from=valid_from,
        valid_until=valid_until,
        name=new.name,
        email=new.email,
        language=new.language,
        created_at=now,
        account_id=account_id,
        accepted_at=now if accepted else None,
        import_source=source,
        external_ref=external_ref,
    )
    await check_seats(unit, organization, now, None, member)
    await unit.members.add(member)
    return member
