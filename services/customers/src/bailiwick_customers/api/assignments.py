"""Routes over assignments: who represents a customer, who did, and who may."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from bailiwick_access.requests import Act, AtEntrance, Gated, Reads, SignedIn
from bailiwick_customers.actions.assign_customer import assign_customer
from bailiwick_customers.actions.end_assignment import end_assignment
from bailiwick_customers.api import wire
from bailiwick_customers.api.parts import Open, Queried, told
from bailiwick_kit.bodies import SentBody, json_body
from bailiwick_kit.idempotency import IdempotencyKey
from bailiwick_kit.problems import problems
from bailiwick_kit.submitted import Mapped

router = APIRouter(tags=["assignments"])

_CHANGE = problems(400, 401, 403, 404, 409, 422)


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
    response: Response,
    caller: SignedIn,
    gate: Gated,
    entrance: AtEntrance,
    queries: Queried,
    open_unit: Open,
    key: IdempotencyKey,
    body: Annotated[SentBody[wire.NewAssignmentBody], json_body(wire.NewAssignmentBody)],
) -> wire.AssignmentBody:
    """Make a member the customer's main representative, in place of the present one, or additional.

    What takes the customer from somebody now holds a second later; the answer comes after it.
    """
    act = Act(caller, "POST", request.url.path, key, body)
    submitted = Mapped(body, wire.NewAssignmentBody.command)
    written = await assign_customer(open_unit, gate, caller, customer_id, submitted, act)
    await told(response, entrance, written)
    return await _assignment(request, entrance, queries, customer_id, written.entity_id)


@router.post(
    "/v1/customers/{customer_id}/assignments/{assignment_id}/end",
    operation_id="end_assignment",
    responses=_CHANGE,
)
async def post_end(
    customer_id: UUID,
    assignment_id: UUID,
    request: Request,
    response: Response,
    caller: SignedIn,
    gate: Gated,
    entrance: AtEntrance,
    queries: Queried,
    open_unit: Open,
    body: Annotated[SentBody[wire.AssignmentEnd], json_body(wire.AssignmentEnd, optional=True)],
) -> wire.AssignmentBody:
    """End an assignment, in a second or on the day named; nobody follows by itself."""
    submitted = Mapped(body, lambda end: end.valid_to)
    written = await end_assignment(open_unit, gate, caller, customer_id, assignment_id, submitted)
    await told(response, entrance, written)
    return await _assignment(request, entrance, queries, customer_id, assignment_id)


@router.get(
    "/v1/representatives", operation_id="list_representatives", responses=problems(400, 401, 403)
)
async def list_representatives(
    reading: Reads, gate: Gated, queries: Queried
) -> wire.Representatives:
    """List the members who may have customers: for who assigns."""
    await gate.decide(reading.caller, "customers", "assign")
    capable: dict[str, bool] = {}
    items = []
    for name, subject in await queries.active_members(reading):
        rights = repr((subject["mode"], subject["role"], subject["permissions"]))
        if rights not in capable:
            capable[rights] = await gate.is_capable(reading.caller, subject, "customers", "hold")
        if capable[rights]:
            items.append(wire.Representative(member_id=UUID(str(subject["member_id"])), name=name))
    return wire.Representatives(items=tuple(items))


async def _assignment(
    request: Request, entrance: AtEntrance, queries: Queried, customer_id: UUID, assignment_id: UUID
) -> wire.AssignmentBody:
    async with entrance.reading(request.headers.get("authorization"), ()) as reading:
        rows = await queries.history(reading, customer_id)
    return next(wire.assignment_body(row) for row in rows if row.assignment_id == assignment_id)
