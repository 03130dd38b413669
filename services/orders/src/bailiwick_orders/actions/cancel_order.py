"""Cancel an order that is not fulfilled; it stays on record, and leaves every figure of sales."""

from __future__ import annotations

from uuid import UUID

from bailiwick_access.answering import Written
from bailiwick_access.caller import Caller
from bailiwick_access.gate import Gate
from bailiwick_kit.etags import Expected
from bailiwick_orders.actions.permits import change_by, permitted
from bailiwick_orders.actions.ports import Happening, OpenUnit


async def cancel_order(
    open_unit: OpenUnit, gate: Gate, caller: Caller, order_id: UUID, expected: Expected
) -> Written:
    """Cancel the order.

    Raises:
        Forbidden, Missing: the caller may not.
        PreconditionRequired, Stale: the version is not named, or not the present one.
        OrderStateForbids: it is fulfilled, or cancelled already.
    """
    async with open_unit(caller.org_id, caller.now) as unit:
        found = await permitted(unit, gate, caller, order_id, "cancel")
        expected.check(found.order.version)
        order = found.order.cancelled()
        await unit.save(found.order, order, change_by(caller, found, Happening.CANCELLED))
    return Written.one(order_id, order.version)
