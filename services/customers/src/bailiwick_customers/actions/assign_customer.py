"""Assign a customer to a representative, from now or from a day to come (V1, L8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bailiwick_access.answering import Written
from bailiwick_access.caller import Caller
from bailiwick_access.gate import Gate
from bailiwick_access.requests import Act
from bailiwick_customers.actions.permits import permitted
from bailiwick_customers.actions.portfolio import begin_assignment, checked_representative
from bailiwick_customers.actions.ports import OpenUnit, Unit
from bailiwick_customers.domain.assignment import (
    NOTICE,
    Changeset,
    Origin,
    Relation,
    assign,
    takes_from_somebody,
)
from bailiwick_customers.domain.errors import SingleAssignmentModel
from bailiwick_kit.errors import Fault, Invalid
from bailiwick_kit.submitted import Submitted


@dataclass(frozen=True)
class NewAssignment:
    """Who becomes what, and when; None stands for now, and for an open end."""

    member_id: UUID
    relation: Relation
    valid_from: datetime | None
    valid_to: datetime | None


async def assign_customer(
    open_unit: OpenUnit,
    gate: Gate,
    caller: Caller,
    customer_id: UUID,
    submitted: Submitted[NewAssignment],
    act: Act | None,
) -> Written:
    """Assign the customer; a new main replaces the one of that instant.

    Raises:
        Forbidden, Missing: the caller may not assign.
        Invalid: the member cannot be a representative, or the interval is not one.
        MainOverlap: another main is planned within that time.
        SingleAssignmentModel: the organization has no additional representatives.
    """
    async with open_unit(caller.org_id, caller.now) as unit:
        await permitted(unit, gate, caller, customer_id, "assign")
        claim = act.claim() if act else None
        if earlier := await unit.earlier(claim):
            return Written(earlier.entity_id)
        written = await write_assignment(
            unit, gate, caller, customer_id, submitted.read(), where="member_id"
        )
        await unit.remember(claim, written.entity_id)
    return written


async def write_assignment(
    unit: Unit, gate: Gate, caller: Caller, customer_id: UUID, new: NewAssignment, *, where: str
) -> Written:
    """Write a new assignment and what it ends, in the open transaction."""
    additional = new.relation is Relation.ADDITIONAL
    if additional and caller.settings.assignment_model == "single":
        raise SingleAssignmentModel("Assign a main representative instead.")
    await checked_representative(unit, gate, caller, new.member_id, where=where)
    existing = await unit.assignments.of(customer_id)
    valid_from = new.valid_from or caller.now
    if valid_from < caller.now:
        message = "Choose an instant from now on, or leave it out for now."
        raise Invalid(faults=(Fault("valid_from", "in-the-past", message),))
    begun = begin_assignment(
        caller,
        customer_id,
        new.member_id,
        new.relation,
        Origin.DIRECT,
        valid_from=valid_from,
        valid_to=new.valid_to,
    )
    written = assign(begun, existing)
    if takes_from_somebody(written) and valid_from < caller.now + NOTICE:
        # D18: what takes from somebody holds a second later, everywhere at once.
        begun = begin_assignment(
            caller,
            customer_id,
            new.member_id,
            new.relation,
            Origin.DIRECT,
            valid_from=caller.now + NOTICE,
            valid_to=new.valid_to,
        )
        written = assign(begun, existing)
    if begun.valid_to <= begun.valid_from:
        fault = Fault("valid_to", "ends-before-it-begins", "Choose an instant after valid_from.")
        raise Invalid(faults=(fault,))
    await unit.assignments.write(Changeset(begun.changeset_id, begun.valid_from, written))
    await unit.note(
        "customer.assign",
        caller.member_id,
        customer_id,
        {"member_id": str(new.member_id), "relation": new.relation.value},
    )
    positions = [(one.assignment_id, one.version) for one in written]
    took = begun.valid_from if takes_from_somebody(written) and new.valid_from is None else None
    return Written(begun.assignment_id, positions, took)
