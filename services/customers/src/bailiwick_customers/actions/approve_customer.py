"""Approve a customer, so that they may order; a representative may be assigned in the same act (V12)."""

from __future__ import annotations

from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.write_responses import Written
from bailiwick_customers.domain.assignment import Relation
from bailiwick_customers.rules.assigning import NewAssignment, write_assignment
from bailiwick_customers.rules.authorize import Viewed, permitted, written
from bailiwick_customers.store.unit_of_work import OpenUnit
from bailiwick_kit.web.etags import Expected
from bailiwick_kit.web.submitted import Submitted


async def approve_customer(
    open_unit: OpenUnit,
    gate: Gate,
    caller: Caller,
    customer_id: UUID,
    expected: Expected,
    submitted: Submitted[UUID | None],
) -> Written[Viewed]:
    """Approve the customer and, where a member is named, make them its main representative.

    Raises:
        Forbidden, Missing: the caller may not approve, or not assign.
        PreconditionRequired, Stale: the version is not named, or not the present one.
        Invalid: the named member cannot be a representative.
        CustomerStateForbids: it is approved already, or suspended.
    """
    async with open_unit(caller.org_id) as unit:
        permit = await permitted(unit, gate, caller, customer_id, "approve")
        expected.check(permit.customer.version)
        main_id, assigned = submitted.read(), None
        if main_id is not None:
            await gate.decide(permit.caller, "customers", "assign", customer=permit.facts)
            new = NewAssignment(main_id, Relation.MAIN)
            assigned = await write_assignment(
                unit, gate, permit.caller, customer_id, new, where="main_id"
            )
        customer = permit.customer.approve()  # a conflict is told last (domain §4)
        await unit.customers.save(customer)
        await unit.note("customer.approve", caller.member_id, customer_id)
        return await written(unit, permit, customer, assigned)
