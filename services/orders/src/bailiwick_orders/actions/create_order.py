"""Create an order: a draft, or in the same commit a placed one (V6, D22)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from uuid_utils.compat import uuid7

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.repetition import claimed
from bailiwick_access.requests import Act
from bailiwick_access.write_responses import Repeated, Written
from bailiwick_kit.errors import Fault, Invalid, Refusal
from bailiwick_kit.web.submitted import Submitted
from bailiwick_orders.domain.change import Change, FoundCustomer, FoundOrder, Happening
from bailiwick_orders.domain.errors import NumberTaken
from bailiwick_orders.domain.order import (
    Line,
    Order,
    Source,
    check_amounts,
    check_currency,
    random_number,
)
from bailiwick_orders.rules.authorize import Viewed, permitted_parent, written
from bailiwick_orders.rules.credit import credit
from bailiwick_orders.store.unit_of_work import OpenUnit, Unit

_DRAWS = 5
"""How often a number is drawn before giving up; that two clash once is one in a hundred thousand."""


@dataclass(frozen=True)
class NewOrder:
    """What a new order is made from. `credited_to` names whose it is; only with `place`."""

    source: Source
    currency: str | None
    lines: tuple[Line, ...]
    priced_in: str
    note: str | None
    credited_to: UUID | None
    place: bool


async def create_order(
    open_unit: OpenUnit,
    gate: Gate,
    caller: Caller,
    parent: Submitted[UUID],
    submitted: Submitted[NewOrder],
    act: Act | None,
) -> Written[Viewed] | Repeated:
    """Create an order for a customer, decided on that customer.

    `parent` is the customer in the body, readable before the rest of it is judged (domain §4).

    Raises:
        Forbidden: the caller does not create orders, or not for this customer.
        Missing: there is no such customer, or none that the caller may know.
        Invalid: a field is wrong.
        CustomerStateForbids: the customer waits for approval, or is suspended.
        Conflict: the same request is under way, or its key came with another body.
    """
    try:
        customer_id = parent.read()
    except Refusal:
        await gate.decide(caller, "orders", "create")
        submitted.read()
        raise
    for _ in range(_DRAWS - 1):
        try:
            return await _create(open_unit, gate, caller, customer_id, submitted, act)
        except NumberTaken:
            continue
    return await _create(open_unit, gate, caller, customer_id, submitted, act)


async def _create(
    open_unit: OpenUnit,
    gate: Gate,
    caller: Caller,
    customer_id: UUID,
    submitted: Submitted[NewOrder],
    act: Act | None,
) -> Written[Viewed] | Repeated:
    async with open_unit(caller.org_id, caller.now) as unit:
        key = await claimed(unit, act)
        if key.repeated:
            return key.repeated
        caller, found, masks = await permitted_parent(unit, gate, caller, customer_id)
        claim = key.claim()
        new = submitted.read()
        _check_source(caller, new.source)
        order, happening = _draft(caller, found, new), Happening.DRAFTED
        if _is_storefront(caller):
            # A buyer's draft is an order in the making: where none is placed, none is begun.
            found.customer.check_orders_are_placed()
        if new.place:
            order, happening = (
                await _placed(unit, gate, caller, found, order, new),
                Happening.PLACED,
            )
        change = Change(happening, caller.member_id, caller.now, found.representation)
        await unit.add(order, change)
        await unit.remember(claim, order.order_id)
    return written(caller, FoundOrder(order, found.customer, found.representation), masks)


async def _placed(
    unit: Unit, gate: Gate, caller: Caller, found: FoundCustomer, draft: Order, new: NewOrder
) -> Order:
    facts = FoundOrder(draft, found.customer, found.representation).facts(caller.member_id)
    await gate.decide(caller, "orders", "place", order=facts)
    return draft.placed(
        found.customer,
        by=caller.member_id,
        at=caller.now,
        time_zone=caller.time_zone,
        credited_to=await credit(unit, gate, caller, found.representation, new.credited_to),
        author_represents=found.representation.is_representative(draft.author_id),
    )


def _draft(caller: Caller, found: FoundCustomer, new: NewOrder) -> Order:
    currency = new.currency or caller.currency
    check_currency(currency, new.priced_in)
    check_amounts(new.lines)
    return Order(
        org_id=caller.org_id,
        order_id=uuid7(),
        number=random_number(),
        customer_id=found.customer.customer_id,
        customer_name=found.customer.name,
        author_id=caller.member_id,
        source=new.source,
        currency=currency,
        lines=new.lines,
        listed_at=caller.now,
        note=new.note,
    )


def _is_storefront(caller: Caller) -> bool:
    return caller.subject["kind"] == "service"


def _check_source(caller: Caller, source: Source) -> None:
    """Let storefronts say portal and nothing else, and people anything else (V6)."""
    if _is_storefront(caller) == (source is Source.PORTAL):
        return
    message = (
        "A storefront's orders have the source portal."
        if _is_storefront(caller)
        else "Say how the order came in: visit, phone, whatsapp or other."
    )
    raise Invalid(faults=(Fault("source", "not-allowed", message),))
