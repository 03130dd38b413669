"""Assign a customer to a representative, from now or from a day to come (V1, L8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from uuid_utils.compat import uuid7

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.repetition import claimed
from bailiwick_access.requests import Act
from bailiwick_access.write_responses import Repeated, Written
from bailiwick_customers.actions.assigning import begin_assignment, checked_representative
from bailiwick_customers.actions.authorize import permitted
from bailiwick_customers.actions.ports import OpenUnit, Unit
from bailiwick_customers.domain.assignment import NOTICE, Assignment, Changeset, Origin, Relation
from bailiwick_customers.domain.errors import LeavesNoMain, SingleAssignmentModel
from bailiwick_customers.domain.timeline import Outcome, assign
from bailiwick_kit.errors import Fault, Invalid
from bailiwick_kit.web.submitted import Submitted

Gap: TypeAlias = tuple[datetime | None, datetime]
"""A time without a main; None stands for the act's own beginning, where that was left out."""


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


async def assign_customer(
    open_unit: OpenUnit,
    gate: Gate,
    caller: Caller,
    customer_id: UUID,
    submitted: Submitted[NewAssignment],
    act: Act | None,
) -> Written[Assignment] | Repeated:
    """Assign the customer; a new main replaces the one of that time.

    Raises:
        Forbidden, Missing: the caller may not assign.
        Invalid: the member cannot be a representative, or the interval is not one.
        MainOverlap: another main is planned within that time.
        LeavesNoMain: nobody would be main for a time in which somebody is, and that is not acknowledged.
        SingleAssignmentModel: the organization has no additional representatives.
    """
    async with open_unit(caller.org_id) as unit:
        key = await claimed(unit, act)
        if key.repeated:
            return key.repeated
        permit = await permitted(unit, gate, caller, customer_id, "assign")
        claim = key.claim()
        new = submitted.read()
        if new.valid_from is not None and new.valid_from < caller.now:  # when the caller said so
            message = "Choose an instant from now on, or leave it out for now."
            raise Invalid(faults=(Fault("valid_from", "in-the-past", message),))
        written = await write_assignment(
            unit, gate, permit.caller, customer_id, new, where="member_id"
        )
        await unit.remember(claim, written.entity_id)
    return written


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
