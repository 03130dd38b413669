"""Which customer may be whose parent, and who may know of it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from uuid import UUID

from bailiwick_access.authorizer import Gate, replacement
from bailiwick_access.caller import Caller
from bailiwick_customers.domain.errors import UnknownParent
from bailiwick_customers.store.unit_of_work import Unit
from bailiwick_kit.errors import Fault
from bailiwick_kit.policy.client import Masks


def may_know_parent(masks: Masks, relations: AbstractSet[str]) -> bool:
    """Tell whether somebody who stands so to a customer's parent may know which one it is.

    Policy's mask names the relations that suffice; without a mask everybody may.
    """
    sufficient = replacement(masks, "customer", "parent_id")
    return sufficient is None or not relations.isdisjoint(str(sufficient).split())


async def check_parent(
    unit: Unit, gate: Gate, caller: Caller, parent_id: UUID, *, child_id: UUID | None = None
) -> None:
    """Refuse a parent that the caller cannot see in the same words as one that does not exist.

    Whoever names one has had their turn: meanwhile nobody else in the organization changes parents.

    Raises:
        UnknownParent: it is neither; or it is the customer itself, or below it.
    """
    facts = await unit.customers.facts(parent_id, caller.member_id, caller.now)
    visible = await gate.may(caller, "customers", "view", customer=facts)
    is_below = child_id is not None and await unit.customers.is_above(child_id, parent_id)
    if not visible or is_below:
        message = "Name one of your customers, neither this one nor one below it, or leave it out."
        raise UnknownParent(faults=(Fault("parent_id", "unknown-parent", message),))
