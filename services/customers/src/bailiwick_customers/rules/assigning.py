"""What assigning shares: who may represent, and how an assignment begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from uuid_utils.compat import uuid7

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.representatives import counts_as_one
from bailiwick_access.write_responses import Written
from bailiwick_customers.domain.assignment import NOTICE, Assignment, Changeset, Origin, Relation
from bailiwick_customers.domain.errors import (
    LeavesNoMain,
    MayNotHoldPortfolio,
    SingleAssignmentModel,
)
from bailiwick_customers.domain.timeline import Outcome, assign
from bailiwick_customers.store.unit_of_work import Unit
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_kit.errors import Fault, Invalid

Gap: TypeAlias = tuple[datetime | None, datetime]
"""A time without a main; None stands for the act's own beginning, where that was left out."""

WHO_MAY = (
    "Name an active member who sells (not an assistant, a custom member, or one without SELLER), "
    "from a day within their membership."
)


@dataclass(frozen=True)
class NewAssignment:
    """Who becomes what, and when; None stands for now, and for an open end.

    `acknowledged` is the time without a main that the caller has been told of and wants.
    """

    member_id: UUID
    relation: Relation
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    acknowledged: tuple[Gap, ...] = ()


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


async def write_assignment(
    unit: Unit, gate: Gate, caller: Caller, customer_id: UUID, new: NewAssignment, *, where: str
) -> Written[Assignment]:
    """Write a new assignment and what it replaces, in the open transaction."""
    starts_at = max(new.valid_from or caller.now, caller.now)
    await checked_representative(unit, gate, caller, new.member_id, starts_at, where=where)
    existing = await unit.assignments.of(customer_id)
    now = await unit.turn()
    begun = begin_assignment(
        caller,
        customer_id,
        new.member_id,
        new.relation,
        Origin.DIRECT,
        valid_from=max(starts_at, now),
        valid_to=new.valid_to,
    )
    begun, outcome = with_notice(begun, existing, now)
    additional = new.relation is Relation.ADDITIONAL
    if additional and caller.settings.assignment_model == "single":
        raise SingleAssignmentModel("Assign a main representative instead.")
    _check_gaps(begun, outcome, new)
    await unit.assignments.write(Changeset(begun.changeset_id, begun.valid_from, outcome.written))
    await unit.note(
        "customer.assign",
        caller.member_id,
        customer_id,
        {"member_id": str(new.member_id), "relation": new.relation.value},
    )
    positions = [(one.assignment_id, one.version) for one in outcome.written]
    changes_at = begun.valid_from if outcome.takes_at is None else outcome.takes_at
    return Written(begun.assignment_id, begun, positions, soon(changes_at, now))


def with_notice(
    begun: Assignment, existing: Sequence[Assignment], now: datetime
) -> tuple[Assignment, Outcome]:
    """Return what assigning comes to; what takes from somebody soon holds in a second, everywhere (D18).

    Raises:
        Invalid: it ends before it begins.
        MainOverlap: another main is planned within that time.
    """
    outcome = assign(begun, existing, now, uuid7)
    if outcome.takes_at is not None and outcome.takes_at < now + NOTICE:
        begun = replace(begun, valid_from=max(begun.valid_from, now + NOTICE))
        outcome = assign(begun, existing, now, uuid7)
    if begun.valid_to <= begun.valid_from:
        message = "Choose an end after the beginning."
        raise Invalid(message, faults=(Fault("valid_to", "ends-before-it-begins", message),))
    return begun, outcome


def soon(instant: datetime, now: datetime) -> datetime | None:
    """Return the instant if an answer waits for it: what changes in a moment is answered after it."""
    return instant if now < instant <= now + NOTICE else None


def _check_gaps(begun: Assignment, outcome: Outcome, new: NewAssignment) -> None:
    gaps: tuple[Gap, ...] = tuple(
        (new.valid_from if start == begun.valid_from else start, end)
        for start, end in outcome.without_main
    )
    if gaps and gaps != new.acknowledged:
        raise LeavesNoMain(
            "Name another main for that time first, or send these intervals as acknowledge.",
            facts={"without_main": [{"valid_from": start, "valid_to": end} for start, end in gaps]},
        )
