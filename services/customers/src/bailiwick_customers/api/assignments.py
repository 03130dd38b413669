"""Routes over assignments: who represents a customer, who did, and who may."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from bailiwick_access.context import Again
from bailiwick_customers.actions.assign_customer import assign_customer
from bailiwick_customers.actions.end_assignment import end_assignment
from bailiwick_customers.api import schemas
from bailiwick_customers.api.dependencies import CustomersApp, Reads, Writes
from bailiwick_customers.domain.assignment import Assignment
from bailiwick_customers.domain.errors import (
    AlreadyEnded,
    LeavesNoMain,
    MainOverlap,
    MayNotHoldPortfolio,
    SingleAssignmentModel,
)
from bailiwick_kit.web.answer_headers import POSITION, tells
from bailiwick_kit.web.bodies import SentBody, json_body
from bailiwick_kit.web.idempotency import IdempotencyKey, KeyInFlight, KeyReused
from bailiwick_kit.web.path_ids import PathId
from bailiwick_kit.web.problems import problems
from bailiwick_kit.web.submitted import Mapped

router = APIRouter(tags=["assignments"])

_ASSIGN = problems(
    *(400, 401, 403, 404, 422, KeyInFlight, KeyReused),
    *(MainOverlap, LeavesNoMain, SingleAssignmentModel, MayNotHoldPortfolio),
) | tells(201, POSITION)
_END = problems(400, 401, 403, 404, 422, AlreadyEnded) | tells(200, POSITION)


@router.get(
    "/v1/customers/{customer_id}/assignments",
    operation_id="list_assignments",
    responses=problems(400, 401, 403, 404),
)
async def list_assignments(customer_id: PathId, context: Reads) -> schemas.History:
    """List who represents a customer, represented them before, or is planned to."""
    rows = await _history(context, customer_id)
    return schemas.History(items=tuple(schemas.assignment_body(row) for row in rows))


@router.post(
    "/v1/customers/{customer_id}/assignments",
    operation_id="assign_customer",
    status_code=201,
    responses=_ASSIGN,
)
async def post_assignment(
    customer_id: PathId,
    context: Writes,
    key: IdempotencyKey,
    body: Annotated[SentBody[schemas.NewAssignmentBody], json_body(schemas.NewAssignmentBody)],
) -> schemas.AssignmentBody:
    """Make a member the customer's main representative, in place of the present one, or additional.

    What takes the customer from somebody now holds a second later; the answer comes after it.
    """
    act = context.act(key, body)
    submitted = Mapped(body, schemas.NewAssignmentBody.command)
    done = await assign_customer(
        context.app.open_unit, context.gate, context.caller, customer_id, submitted, act
    )
    return schemas.assignment_body(await context.seen(done, _again(customer_id)))


@router.post(
    "/v1/customers/{customer_id}/assignments/{assignment_id}/end",
    operation_id="end_assignment",
    responses=_END,
)
async def post_end(
    customer_id: PathId,
    assignment_id: PathId,
    context: Writes,
    body: Annotated[
        SentBody[schemas.AssignmentEnd], json_body(schemas.AssignmentEnd, optional=True)
    ],
) -> schemas.AssignmentBody:
    """End an assignment, in a second or on the day named; nobody follows by itself."""
    submitted = Mapped(body, lambda end: end.valid_to)
    done = await end_assignment(
        context.app.open_unit, context.gate, context.caller, customer_id, assignment_id, submitted
    )
    return schemas.assignment_body(await context.seen(done, _again(customer_id)))


@router.get(
    "/v1/representatives", operation_id="list_representatives", responses=problems(400, 401, 403)
)
async def list_representatives(context: Reads) -> schemas.Representatives:
    """List the members who may have customers, now or once their membership begins: for who assigns."""
    await context.gate.decide(context.caller, "customers", "assign")
    found = await context.app.queries.representatives(context, context.gate)
    return schemas.Representatives(
        items=tuple(schemas.Representative(**vars(one)) for one in found)
    )


def _again(customer_id: UUID) -> Again[CustomersApp, Assignment]:
    async def again(context: Reads, assignment_id: UUID) -> Assignment:
        history = await _history(context, customer_id)
        return next(one for one in history if one.assignment_id == assignment_id)

    return again


async def _history(context: Reads, customer_id: UUID) -> list[Assignment]:
    facts = await context.app.queries.facts(context, customer_id)
    await context.gate.decide(context.caller, "customers", "history", customer=facts)
    return await context.app.queries.history(context, customer_id)
