"""Reinstate a suspended customer: they may order again."""

from __future__ import annotations

from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.write_responses import Written
from bailiwick_customers.rules.authorize import Viewed, permitted, written
from bailiwick_customers.store.unit_of_work import OpenUnit
from bailiwick_kit.web.etags import Expected


async def reinstate_customer(
    open_unit: OpenUnit, gate: Gate, caller: Caller, customer_id: UUID, expected: Expected
) -> Written[Viewed]:
    """End a suspension; who approves also reinstates.

    Raises:
        Forbidden, Missing: the caller may not.
        PreconditionRequired, Stale: the version is not named, or not the present one.
        CustomerStateForbids: it is not suspended.
    """
    async with open_unit(caller.org_id) as unit:
        permit = await permitted(unit, gate, caller, customer_id, "approve")
        expected.check(permit.customer.version)
        customer = permit.customer.reinstate()
        await unit.customers.save(customer)
        await unit.note("customer.reinstate", caller.member_id, customer_id)
        return await written(unit, permit, customer)
