"""End an assignment: the customer leaves a portfolio, now or on a day to come."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_access.write_responses import Written
from bailiwick_customers.domain.assignment import NOTICE, Assignment, Changeset
from bailiwick_customers.domain.timeline import end
from bailiwick_customers.rules.assigning import soon
from bailiwick_customers.rules.authorize import permitted
from bailiwick_customers.store.unit_of_work import OpenUnit
from bailiwick_kit.errors import Missing
from bailiwick_kit.web.submitted import Submitted


async def end_assignment(
    open_unit: OpenUnit,
    gate: Gate,
    caller: Caller,
    customer_id: UUID,
    assignment_id: UUID,
    submitted: Submitted[datetime | None],
) -> Written[Assignment]:
    """End the assignment at the named instant, or in a second (D18); nobody follows by itself.

    One that has not begun is a plan: what is taken of it goes back to who would have that time without it.

    Raises:
        Forbidden, Missing: the caller may not assign, or there is no such assignment.
        AlreadyEnded: it is over by then.
    """
    async with open_unit(caller.org_id) as unit:
        await permitted(unit, gate, caller, customer_id, "assign")
        existing = {one.assignment_id: one for one in await unit.assignments.of(customer_id)}
        if assignment_id not in existing:
            raise Missing
        named = submitted.read()
        now = await unit.turn()
        soonest = now + NOTICE
        instant = max(named, soonest) if named else soonest
        ended, changeset_id = existing[assignment_id], uuid7()
        outcome = end(ended, instant, existing.values(), now, changeset_id, uuid7)
        await unit.assignments.write(Changeset(changeset_id, instant, outcome.written))
        await unit.note(
            "customer.unassign",
            caller.member_id,
            customer_id,
            {"member_id": str(ended.member_id), "relation": ended.relation.value},
        )
    positions = [(one.assignment_id, one.version) for one in outcome.written]
    seen = next(one for one in outcome.written if one.assignment_id == assignment_id)
    return Written(assignment_id, seen, positions, soon(outcome.takes_at or instant, now))
