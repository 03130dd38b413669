"""Who may do a thing to an order: asked inside the transaction that does it, on the locked row."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.write_responses import Written
from bailiwick_kit.errors import Missing
from bailiwick_kit.policy.client import Masks
from bailiwick_orders.domain.change import Change, FoundCustomer, FoundOrder, Happening
from bailiwick_orders.domain.order import Order
from bailiwick_orders.domain.views import Seen
from bailiwick_orders.store.unit_of_work import Unit


@dataclass(frozen=True)
class Viewed:
    """An order that its reader may view, with what policy shows them less of."""

    seen: Seen
    masks: Masks

    @property
    def version(self) -> int:
        """The order's version."""
        return self.seen.order.version


@dataclass(frozen=True)
class Permitted:
    """A locked order that the caller may do something to, and what they are shown less of.

    `caller` is as they are now that it is locked.
    """

    caller: Caller
    found: FoundOrder
    masks: Masks

    def change(self, happening: Happening, reason: str | None = None) -> Change:
        """Return that the caller has just made this happen to the order."""
        by, at = self.caller.member_id, self.caller.now
        return Change(happening, by, at, self.found.representation, reason)

    def written(self, order: Order) -> Written[Viewed]:
        """Return what the order has become, as the caller sees it."""
        found = FoundOrder(order, self.found.customer, self.found.representation)
        return written(self.caller, found, self.masks)


def written(caller: Caller, found: FoundOrder, masks: Masks) -> Written[Viewed]:
    """Return that the order was written, as the caller sees it."""
    seen = Seen(found.order, found.order.net, found.facts(caller.member_id))
    return Written.one(found.order.order_id, Viewed(seen, masks))


async def permitted(
    unit: Unit, gate: Gate, caller: Caller, order_id: UUID, action: str
) -> Permitted:
    """Return the locked order if the caller may do this to it.

    It is locked only for who may: nobody waits, or works, longer over a row that is hidden from them than
    over none (S2). What has changed by then, the caller's rights included, is decided anew.

    Raises:
        Forbidden: the caller may not, and may know it.
        RightsChanged: they may, but their rights changed while this waited.
        Missing: there is no such order, or none that the caller may view.
    """
    facts = await unit.order_facts(order_id, caller.member_id)
    decision = await gate.decide(caller, "orders", action, order=facts)
    found = await unit.order(order_id)
    if found is None:  # the gate has refused already; this is for the reader and the type checker
        raise Missing
    locked, present = found.facts(caller.member_id), await unit.again(caller)
    if locked != facts or not present.has_rights_of(caller):
        decision = await gate.decide(present, "orders", action, order=locked)
    present.check_rights_of(caller)
    return Permitted(present, found, decision.masks)


async def permitted_parent(
    unit: Unit, gate: Gate, caller: Caller, customer_id: UUID
) -> tuple[Caller, FoundCustomer, Masks]:
    """Return the locked customer if the caller may create an order for it, as `permitted` does.

    Beside it, the caller as they are now that it is locked, and what is masked for them.

    Raises:
        Forbidden: the caller creates no orders, or not for this customer.
        RightsChanged: they do, but their rights changed while this waited.
        Missing: there is no such customer, or none that the caller may know.
    """
    facts = await unit.customer_facts(customer_id, caller.member_id)
    decision = await gate.decide(caller, "orders", "create", customer=facts)
    found = await unit.customer(customer_id)
    if found is None:  # the gate has refused already; this is for the reader and the type checker
        raise Missing
    locked, present = found.facts(caller.member_id), await unit.again(caller)
    if locked != facts or not present.has_rights_of(caller):
        decision = await gate.decide(present, "orders", "create", customer=locked)
    present.check_rights_of(caller)
    return present, found, decision.masks
