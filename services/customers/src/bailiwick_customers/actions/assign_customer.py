"""Assign a customer to a representative, from now or from a day to come (V1, L8)."""

from __future__ import annotations

from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.repetition import claimed
from bailiwick_access.requests import Act
from bailiwick_access.write_responses import Repeated, Written
from bailiwick_customers.domain.assignment import Assignment
from bailiwick_customers.rules.assigning import NewAssignment, write_assignment
from bailiwick_customers.rules.authorize import permitted
from bailiwick_customers.store.unit_of_work import OpenUnit
from bailiwick_kit.errors import Fault, Invalid
from bailiwick_kit.web.submitted import Submitted


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
