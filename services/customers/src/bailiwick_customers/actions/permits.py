"""Who may do a thing to a customer: asked inside the transaction that does it, on the locked row."""

from __future__ import annotations

from uuid import UUID

from bailiwick_access.caller import Caller
from bailiwick_access.gate import Gate
from bailiwick_customers.actions.ports import Found, Unit
from bailiwick_kit.errors import Missing


async def permitted(
    unit: Unit, gate: Gate, caller: Caller, customer_id: UUID, action: str
) -> Found:
    """Return the locked customer if the caller may do this to it.

    Raises:
        Forbidden: the caller may not, and may know it.
        Missing: there is no such customer, or none that the caller may view.
    """
    found = await unit.customers.locked(customer_id, caller.member_id, caller.now)
    await gate.decide(caller, "customers", action, customer=found.facts if found else None)
    if found is None:  # the gate has refused already; this is for the reader and the type checker
        raise Missing
    return found
