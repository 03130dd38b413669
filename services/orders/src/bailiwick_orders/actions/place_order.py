"""Place a draft: a new order comes in, once (domain §2)."""

from __future__ import annotations

from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.write_responses import Written
from bailiwick_kit.web.etags import Expected
from bailiwick_kit.web.submitted import Submitted
from bailiwick_orders.domain.change import Happening
from bailiwick_orders.rules.authorize import Viewed, permitted
from bailiwick_orders.rules.credit import credit
from bailiwick_orders.store.unit_of_work import OpenUnit


async def place_order(
    open_unit: OpenUnit,
    gate: Gate,
    caller: Caller,
    order_id: UUID,
    expected: Expected,
    submitted: Submitted[UUID | None],
) -> Written[Viewed]:
    """Place the draft; who is credited is settled now, by who represents the customer now.

    Raises:
        Forbidden, Missing: the caller may not, or names another to be credited and may not.
        PreconditionRequired, Stale: the version is not named, or not the present one.
        NotAssigned: who is named does not represent the customer.
        OrderStateForbids: it is no draft any more.
        CustomerStateForbids: the customer waits for approval, or is suspended.
    """
    async with open_unit(caller.org_id, caller.now) as unit:
        let = await permitted(unit, gate, caller, order_id, "place")
        caller, found = let.caller, let.found
        expected.check(found.order.version)
        named = submitted.read()
        order = found.order.placed(
            found.customer,
            by=caller.member_id,
            at=caller.now,
            time_zone=caller.time_zone,
            credited_to=await credit(unit, gate, caller, found.representation, named),
            author_represents=found.representation.is_representative(found.order.author_id),
        ).as_next_version()
        await unit.save(found.order, order, let.change(Happening.PLACED))
    return let.written(order)
