"""Who may do a thing to a customer: asked inside the transaction that does it, on the locked row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from bailiwick_access.caller import Caller
from bailiwick_access.gate import Gate
from bailiwick_customers.actions.ports import Unit
from bailiwick_customers.domain.customer import Customer
from bailiwick_kit.errors import Missing
from bailiwick_kit.policy import Masks


@dataclass(frozen=True)
class Permit:
    """A locked customer, the caller as they are now that it is locked, and what is masked for them."""

    customer: Customer
    caller: Caller
    facts: Mapping[str, object]
    masks: Masks


async def permitted(
    unit: Unit, gate: Gate, caller: Caller, customer_id: UUID, action: str
) -> Permit:
    """Return the locked customer if the caller may do this to it.

    Judged by the instant, and by the caller's rights, of when the lock was had: who waited for it for
    seconds may have lost the customer, or their membership, meanwhile.

    Raises:
        Forbidden: the caller may not, and may know it.
        Missing: there is no such customer, or none that the caller may view.
    """
    await unit.customers.lock(customer_id)
    now = unit.instant()
    subject = await unit.members.subject(caller.member_id, now)
    caller = replace(caller, now=now, subject=subject or caller.subject)
    found = await unit.customers.one(customer_id, caller.member_id, now)
    facts = found.facts if found else None
    decision = await gate.decide(caller, "customers", action, customer=facts)
    if found is None:  # the gate has refused already; this is for the reader and the type checker
        raise Missing
    return Permit(found.customer, caller, found.facts, decision.masks)
