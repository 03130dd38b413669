"""What assigning shares: who may represent, and how an assignment begins."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.representatives import counts_as_one
from bailiwick_customers.actions.ports import Unit
from bailiwick_customers.domain.assignment import Assignment, Origin, Relation
from bailiwick_customers.domain.errors import MayNotHoldPortfolio
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_kit.errors import Fault

WHO_MAY = (
    "Name an active member who sells (not an assistant, a custom member, or one without SELLER), "
    "from a day within their membership."
)


async def checked_representative(
    unit: Unit, gate: Gate, caller: Caller, member_id: UUID, at: datetime, *, where: str
) -> None:
    """Let the member be a representative from an instant on, or refuse (domain §3, "who assigns").

    Raises:
        MayNotHoldPortfolio: no such member, not in force at that instant, or one who never has customers.
    """
    subject = await unit.members.subject(member_id, at)
    if subject is None or not await counts_as_one(gate, caller, subject):
        raise MayNotHoldPortfolio(faults=(Fault(where, "may-not-hold-portfolio", WHO_MAY),))


def begin_assignment(
    caller: Caller,
    customer_id: UUID,
    member_id: UUID,
    relation: Relation,
    origin: Origin,
    *,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
) -> Assignment:
    """Return a new assignment in a changeset of its own, from now on unless told otherwise."""
    return Assignment(
        org_id=caller.org_id,
        assignment_id=uuid7(),
        customer_id=customer_id,
        member_id=member_id,
        relation=relation,
        origin=origin,
        valid_from=valid_from or caller.now,
        valid_to=valid_to or END_OF_TIME,
        created_by=caller.member_id,
        changeset_id=uuid7(),
    )
