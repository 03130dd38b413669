"""Who is credited for imported orders: as their source says, else by the rule of whoever placed them then."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.representatives import counts_as_one
from bailiwick_kit.errors import Fault, Invalid
from bailiwick_orders.domain.change import FoundCustomer
from bailiwick_orders.domain.record import OrderRecord
from bailiwick_orders.domain.representation import MAIN
from bailiwick_orders.rules.credit import earns
from bailiwick_orders.store.imports import ImportUnit

_IN_FORCE = {"status": "active", "expired": False}


def credited(
    record: OrderRecord,
    found: FoundCustomer,
    placed_at: datetime | None,
    holding: set[UUID],
    counting: set[UUID],
) -> UUID | None:
    """Return who is credited: as said; else who placed it, or the main of that instant (domain §3).

    `counting` are the members whose assignments count.
    """
    if placed_at is None or record.names_credit:
        return record.credited_to
    if record.placer_id in holding:
        return record.placer_id
    main_id = found.representation.seen_from(placed_at).main_id
    return main_id if main_id in counting else None


async def holders(
    unit: ImportUnit, gate: Gate, caller: Caller, records: Iterable[tuple[int, OrderRecord]]
) -> set[UUID]:
    """Return those of the named members whose own orders are their own credit.

    Asked as if they were active: who has left keeps the credit for what they sold.
    """
    listed = list(records)
    named: set[UUID] = set().union(*(record.members for _, record in listed))
    subjects = await unit.subjects(named)
    message = "Name a member of the organization: import members first."
    faults = [
        Fault(f"[{place}].{name}", "unknown-member", message)
        for place, record in listed
        for name in ("author_id", "placed_by", "credited_to")
        if (member_id := getattr(record, name)) and member_id not in subjects
    ]
    storefronts = {one for one, subject in subjects.items() if subject["kind"] == "service"}
    message = "Credit a person: a storefront has none."
    faults += [
        Fault(f"[{place}].credited_to", "not-allowed", message)
        for place, record in listed
        if record.credited_to in storefronts
    ]
    if faults:
        raise Invalid(faults=faults)
    return {
        member_id
        for member_id, subject in subjects.items()
        if await earns(gate, caller, {**subject, **_IN_FORCE})
    }


async def mains(
    unit: ImportUnit, gate: Gate, caller: Caller, customers: Iterable[FoundCustomer]
) -> set[UUID]:
    """Return those of the customers' mains, of any time, whose assignments count; asked likewise."""
    ever = {
        one.member_id
        for found in customers
        for one in found.representation.assignments
        if one.relation == MAIN
    }
    return {
        member_id
        for member_id, subject in (await unit.subjects(ever)).items()
        if await counts_as_one(gate, caller, {**subject, **_IN_FORCE})
    }
