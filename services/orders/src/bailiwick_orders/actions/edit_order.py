"""Edit an order's lines and note; from confirmed on with a reason, and what was before is kept."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.write_responses import Written
from bailiwick_kit.errors import Fault, Invalid
from bailiwick_kit.web.etags import Expected
from bailiwick_kit.web.submitted import Submitted
from bailiwick_orders.domain.change import Happening
from bailiwick_orders.domain.order import Line, State, check_currency
from bailiwick_orders.rules.authorize import Viewed, permitted
from bailiwick_orders.store.unit_of_work import OpenUnit


@dataclass(frozen=True)
class OrderEdit:
    """What changes. Without `lines` they stay; the note stays unless `sets_note`."""

    lines: tuple[Line, ...] | None
    priced_in: str | None
    note: str | None
    sets_note: bool
    reason: str | None


async def edit_order(
    open_unit: OpenUnit,
    gate: Gate,
    caller: Caller,
    order_id: UUID,
    expected: Expected,
    submitted: Submitted[OrderEdit],
) -> Written[Viewed]:
    """Change the lines or the note, whichever was sent.

    Raises:
        Forbidden, Missing: the caller may not.
        PreconditionRequired, Stale: the version is not named, or not the present one.
        Invalid: a field is wrong; or the reason is missing that a confirmed order needs.
        OrderStateForbids: it is fulfilled or cancelled.
        CustomerStateForbids: the customer is suspended, and would have more to pay.
    """
    async with open_unit(caller.org_id, caller.now) as unit:
        let = await permitted(unit, gate, caller, order_id, "edit")
        found = let.found
        expected.check(found.order.version)
        edit = submitted.read()
        if edit.priced_in is not None:
            check_currency(found.order.currency, edit.priced_in)
        if found.order.state is State.CONFIRMED and edit.reason is None:
            message = "Say why a confirmed order changes."
            raise Invalid(faults=(Fault("reason", "missing", message),))
        note = edit.note if edit.sets_note else found.order.note
        order = found.order.edited(found.customer, edit.lines, note)
        change = let.change(Happening.EDITED, edit.reason)
        await unit.save(found.order, order, change)
    return let.written(order)
