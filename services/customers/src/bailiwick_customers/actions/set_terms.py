"""Set a customer's commercial conditions: the main representative's work (V4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.write_responses import Written
from bailiwick_customers.rules.authorize import Viewed, permitted, written
from bailiwick_customers.store.unit_of_work import OpenUnit
from bailiwick_kit.web.etags import Expected
from bailiwick_kit.web.submitted import Submitted


async def set_terms(
    open_unit: OpenUnit,
    gate: Gate,
    caller: Caller,
    customer_id: UUID,
    expected: Expected,
    submitted: Submitted[Mapping[str, Any]],
) -> Written[Viewed]:
    """Change the terms that were sent; the others stay.

    Raises:
        Forbidden, Missing: the caller may not.
        PreconditionRequired, Stale: the version is not named, or not the present one.
        Invalid: a term is wrong.
    """
    async with open_unit(caller.org_id) as unit:
        permit = await permitted(unit, gate, caller, customer_id, "edit_terms")
        expected.check(permit.customer.version)
        changes = submitted.read()
        customer = replace(
            permit.customer,
            terms=replace(permit.customer.terms, **changes),
            version=permit.customer.version + 1,
        )
        await unit.customers.save(customer)
        await unit.note(
            "customer.terms", caller.member_id, customer_id, {"fields": sorted(changes)}
        )
        return await written(unit, permit, customer)
