"""Confirm a placed order: from here on its representatives no longer change it (domain §3)."""

from __future__ import annotations

from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.write_responses import Written
from bailiwick_kit.web.etags import Expected
from bailiwick_orders.domain.change import Happening
from bailiwick_orders.rules.authorize import Viewed, permitted
from bailiwick_orders.store.unit_of_work import OpenUnit


async def confirm_order(
    open_unit: OpenUnit, gate: Gate, caller: Caller, order_id: UUID, expected: Expected
) -> Written[Viewed]:
    """Confirm the order.

    Raises:
        Forbidden, Missing: the caller may not.
        PreconditionRequired, Stale: the version is not named, or not the present one.
        OrderStateForbids: it is not placed, or more than that.
        CustomerStateForbids: the customer is suspended.
    """
    async with open_unit(caller.org_id, caller.now) as unit:
        let = await permitted(unit, gate, caller, order_id, "confirm")
        expected.check(let.found.order.version)
        order = let.found.order.confirmed(let.found.customer)
        await unit.save(let.found.order, order, let.change(Happening.CONFIRMED))
    return let.written(order)
