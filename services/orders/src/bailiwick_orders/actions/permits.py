"""Who may do a thing to an order: asked inside the transaction that does it, on the locked row."""

from __future__ import annotations

from uuid import UUID

from bailiwick_access.caller import Caller
from bailiwick_access.gate import Gate
from bailiwick_kit.errors import Missing
from bailiwick_orders.actions.ports import Change, FoundOrder, Happening, Unit


async def permitted(
    unit: Unit, gate: Gate, caller: Caller, order_id: UUID, action: str
) -> FoundOrder:
    """Return the locked order if the caller may do this to it.

    Raises:
        Forbidden: the caller may not, and may know it.
        Missing: there is no such order, or none that the caller may view.
    """
    found = await unit.order(order_id)
    facts = found.facts(caller.member_id) if found else None
    await gate.decide(caller, "orders", action, order=facts)
    if found is None:  # the gate has refused already; this is for the reader and the type checker
        raise Missing
    return found


def change_by(
    caller: Caller, found: FoundOrder, happening: Happening, reason: str | None = None
) -> Change:
    """Return that the caller has just made this happen to the order."""
    return Change(happening, caller.member_id, caller.now, found.representation, reason)
