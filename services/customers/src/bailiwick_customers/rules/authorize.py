"""Who may do a thing to a customer: asked inside the transaction that does it, on the locked row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.write_responses import Written
from bailiwick_customers.domain.customer import Customer
from bailiwick_customers.domain.views import Shown
from bailiwick_customers.store.unit_of_work import Unit
from bailiwick_kit.errors import Missing
from bailiwick_kit.policy.client import Masks


@dataclass(frozen=True)
class Viewed:
    """A customer that its reader may view, with what policy shows them less of."""

    shown: Shown
    masks: Masks

    @property
    def version(self) -> int:
        """The customer's version."""
        return self.shown.customer.version


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

    It is locked only for who may: nobody waits, or works, longer over a row that is hidden from them than
    over none (S2). Who waited for their turn for seconds may have lost the customer, or their membership,
    meanwhile: then it is decided anew, by the instant, the caller's rights and the settings of their turn.

    Raises:
        Forbidden: the caller may not, and may know it.
        Missing: there is no such customer, or none that the caller may view.
    """
    facts = await unit.customers.facts(customer_id, caller.member_id, caller.now)
    decision = await gate.decide(caller, "customers", action, customer=facts)
    await unit.customers.lock(customer_id)
    present = await unit.again(caller)
    found = await unit.customers.one(customer_id, caller.member_id, present.now)
    if found is None:  # the gate has refused already; this is for the reader and the type checker
        raise Missing
    if found.facts != facts or not present.has_rights_of(caller):
        decision = await gate.decide(present, "customers", action, customer=found.facts)
    return Permit(found.customer, present, found.facts, decision.masks)


async def written(
    unit: Unit, permit: Permit, customer: Customer, besides: Written[Any] | None = None
) -> Written[Viewed]:
    """Return that the customer was written, as the caller sees it once that holds.

    `besides` is what else was written in the same act.
    """
    positions, effective_at = (besides.positions, besides.effective_at) if besides else ((), None)
    at = effective_at or unit.now
    seen = await viewed(unit, permit.caller, customer, permit.masks, at)
    own = (customer.customer_id, customer.version)
    return Written(customer.customer_id, seen, [own, *positions], effective_at)


async def viewed(
    unit: Unit, caller: Caller, customer: Customer, masks: Masks, at: datetime
) -> Viewed:
    """Return a customer of the open transaction as the caller sees it at an instant."""
    return Viewed(await unit.customers.shown(customer, caller.member_id, at), masks)
