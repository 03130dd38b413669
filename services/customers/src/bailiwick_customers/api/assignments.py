"""Routes over assignments: who represents a customer, who did, and who may."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request

from bailiwick_access.answering import Answer, Show, Written, answering
from bailiwick_access.requests import Act, Gated, Reading, Reads, SignedIn
from bailiwick_customers.actions.assign_customer import assign_customer
from bailiwick_customers.actions.end_assignment import end_assignment
from bailiwick_customers.api import wire
from bailiwick_customers.api.parts import Open, Queried
from bailiwick_kit.bodies import SentBody, json_body
from bailiwick_kit.idempotency import IdempotencyKey
from bailiwick_kit.problems import problems
from bailiwick_kit.submitted import Mapped

router = APIRouter(tags=["assignments"])

_CHANGE = problems(400, 401, 403, 404, 409, 422)


async def _showing(customer_id: UUID, queries: Queried) -> Show[wire.AssignmentBody]:
    async def show(reading: Reading, act: Written) -> wire.AssignmentBody:
        rows = await queries.history(reading, customer_id)
        written = next(row for row in rows if row.assignment_id == act.entity_id)
        return wire.assignment_body(written)

    return show


Answering = Annotated[Answer[wire.AssignmentBody], answering("customers", _showing)]


@router.get(
    "/v1/customers/{customer_id}/assignments",
    operation_id="list_assignments",
    responses=problems(400, 401, 403, 404),
)
async def list_assignments(
    customer_id: UUID, reading: Reads, gate: Gated, queries: Queried
) -> wire.History:
    """List who represents a customer, represented them before, or is planned to."""
    found = await queries.one(reading, customer_id)
    facts = found.facts if found else None
    await gate.decide(reading.caller, "customers", "history", customer=facts)
    rows = await queries.history(reading, customer_id)
    return wire.History(items=tuple(wire.assignment_body(row) for row in rows))


@router.post(
    "/v1/customers/{customer_id}/assignments",
    operation_id="assign_customer",
    status_code=201,
    responses=_CHANGE,
)
async def post_assignment(
    customer_id: UUID,
    request: Request,
    caller: SignedIn,
    gate: Gated,
    open_unit: Open,
    answer: Answering,
    key: IdempotencyKey,
    body: Annotated[SentBody[wire.NewAssignmentBody], json_body(wire.NewAssignmentBody)],
) -> wire.AssignmentBody:
    """Make a member the customer's main representative, in place of the present one, or additional.

    What takes the customer from somebody now holds a second later; the answer comes after it.
    """
    act = Act(caller, "POST", request.url.path, key, body)
    submitted = Mapped(body, wire.NewAssignmentBody.command)
    return await answer.shown(
        await assign_customer(open_unit, gate, caller, customer_id, submitted, act)
    )


@router.post(
    "/v1/customers/{customer_id}/assignments/{assignment_id}/end",
    operation_id="end_assignment",
    responses=_CHANGE,
)
async def post_end(
    customer_id: UUID,
    assignment_id: UUID,
    caller: SignedIn,
    gate: Gated,
    open_unit: Open,
    answer: Answering,
    body: Annotated[SentBody[wire.AssignmentEnd], json_body(wire.AssignmentEnd, optional=True)],
) -> wire.AssignmentBody:
    """End an assignment, in a second or on the day named; nobody follows by itself."""
    submitted = Mapped(body, lambda end: end.valid_to)
    return await answer.shown(
        await end_assignment(open_unit, gate, caller, customer_id, assignment_id, submitted)
    )


@router.get(
    "/v1/representatives", operation_id="list_representatives", responses=problems(400, 401, 403)
)
async def list_representatives(
    reading: Reads, gate: Gated, queries: Queried
) -> wire.Representatives:
    """List the members who may have customers, now or once their membership begins: for who assigns."""
    await gate.decide(reading.caller, "customers", "assign")
    found = await queries.representatives(reading, gate)
    return wire.Representatives(items=tuple(wire.Representative(**vars(one)) for one in found))
