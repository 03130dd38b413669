"""Who an order is credited to when it is placed; never rewritten after (domain §3, "credit")."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from bailiwick_access.caller import Caller
from bailiwick_access.gate import Gate
from bailiwick_kit.errors import Fault
from bailiwick_orders.domain.errors import NotAssigned
from bailiwick_orders.domain.representation import Representation


async def credit(
    gate: Gate, caller: Caller, representation: Representation, named: UUID | None
) -> UUID | None:
    """Return who gets the credit for an order that the caller places; None is the house.

    Whoever may hold a portfolio, or credits at will, gets their own; a storefront's or an assistant's goes
    to the customer's active main. An organization-wide caller may name another active representative.

    Raises:
        Forbidden: another member is named by a caller who may not.
        NotAssigned: the named member does not represent the customer now.
    """
    if await earns(gate, caller, caller.subject):
        due: UUID | None = caller.member_id
    else:
        due = representation.active_main_id
    if named is None or named == due:
        return due
    await gate.decide(caller, "orders", "credit")
    if not representation.is_active_representative(named):
        message = "Name an active main or additional representative of the customer."
        raise NotAssigned(faults=(Fault("credited_to", "not-assigned", message),))
    return named


async def earns(gate: Gate, caller: Caller, subject: Mapping[str, object]) -> bool:
    """Tell whether a member's own orders are their own credit: not a storefront's, nor an assistant's.

    Who holds orders alone can have no customers, and yet is no assistant: they credit at will.
    """
    if await gate.is_capable(caller, subject, "customers", "hold"):
        return True
    return await gate.is_capable(caller, subject, "orders", "credit")
