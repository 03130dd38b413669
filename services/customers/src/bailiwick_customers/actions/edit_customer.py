"""Edit who a customer is: name, contacts, addresses, tags. Not the terms, not the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.write_responses import Written
from bailiwick_customers.domain.customer import check_size
from bailiwick_customers.rules.authorize import Permit, Viewed, permitted, written
from bailiwick_customers.rules.parents import check_parent, may_know_parent
from bailiwick_customers.store.unit_of_work import OpenUnit, Unit
from bailiwick_kit.web.etags import Expected
from bailiwick_kit.web.submitted import Submitted


async def edit_customer(
    open_unit: OpenUnit,
    gate: Gate,
    caller: Caller,
    customer_id: UUID,
    expected: Expected,
    submitted: Submitted[Mapping[str, Any]],
) -> Written[Viewed]:
    """Change the fields that were sent; the others stay.

    Raises:
        Forbidden, Missing: the caller may not.
        PreconditionRequired, Stale: the version is not named, or not the present one.
        Invalid: a field is wrong, or the customer would be too large.
    """
    async with open_unit(caller.org_id) as unit:
        permit = await permitted(unit, gate, caller, customer_id, "edit")
        expected.check(permit.customer.version)
        changes = await _visible(unit, gate, permit, submitted.read())
        customer = replace(permit.customer, **changes, version=permit.customer.version + 1)
        check_size(customer, permit.customer)
        await unit.customers.save(customer)
        await unit.note("customer.edit", caller.member_id, customer_id, {"fields": sorted(changes)})
        return await written(unit, permit, customer)


async def _visible(
    unit: Unit, gate: Gate, permit: Permit, changes: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the changes to what the caller can see: a masked field that is sent back stays (domain §3)."""
    if "parent_id" not in changes:
        return changes
    caller, customer, parent_id = permit.caller, permit.customer, changes["parent_id"]
    if parent_id is not None:  # the present one too: naming a hidden parent must not confirm it
        await check_parent(unit, gate, caller, parent_id, child_id=customer.customer_id)
    if customer.parent_id is None:
        return changes
    relations = await unit.customers.relations(customer.parent_id, caller)
    if may_know_parent(permit.masks, relations):
        return changes
    return {name: value for name, value in changes.items() if name != "parent_id"}
