"""Who an order is credited to when it is placed; never rewritten after (domain §3, "credit")."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.representatives import counts_as_one
from bailiwick_kit.errors import Fault
from bailiwick_orders.domain.errors import NotAssigned
from bailiwick_orders.domain.representation import Representation
from bailiwick_orders.store.unit_of_work import Unit


async def credit(
    unit: Unit,
    gate: Gate,
    caller: Caller,
    representation: Representation,
    named: UUID | None,
) -> UUID | None:
    """Return who gets the credit for an order that the caller places; None is the house.

    Whoever may hold a portfolio, or credits at will, gets their own; a storefront's or an assistant's goes
    to the customer's main. An organization-wide caller may name another representative. Both only where their
    assignment counts (domain §3).

    Raises:
        Forbidden: another member is named by a caller who may not.
        NotAssigned: the named member does not represent the customer now.
    """
    if await earns(gate, caller, caller.subject):
        due: UUID | None = caller.member_id
    else:
        main_id = representation.main_id
        due = main_id if await _counts(unit, gate, caller, main_id) else None
    if named is None or named == due:
        return due
    await gate.decide(caller, "orders", "credit")
    is_one = representation.is_representative(named)
    if not (is_one and await _counts(unit, gate, caller, named)):
        message = "Name an active main or additional representative of the customer."
        raise NotAssigned(faults=(Fault("credited_to", "not-assigned", message),))
    return named


async def _counts(unit: Unit, gate: Gate, caller: Caller, member_id: UUID | None) -> bool:
    subject = None if member_id is None else await unit.subject(member_id)
    return subject is not None and await counts_as_one(gate, caller, subject)


async def earns(gate: Gate, caller: Caller, subject: Mapping[str, object]) -> bool:
    """Tell whether a member's own orders are their own credit: not a storefront's, nor an assistant's.

    Who holds orders alone can have no customers, and yet is no assistant: they credit at will.
    """
    if await gate.is_capable(caller, subject, "customers", "hold"):
        return True
    return await gate.is_capable(caller, subject, "orders", "credit")
