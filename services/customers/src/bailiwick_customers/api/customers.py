"""Routes over customers: /v1/customers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from bailiwick_access.listing import Paged
from bailiwick_customers.actions.approve_customer import approve_customer
from bailiwick_customers.actions.create_customer import create_customer
from bailiwick_customers.actions.edit_customer import edit_customer
from bailiwick_customers.actions.reinstate_customer import reinstate_customer
from bailiwick_customers.actions.set_terms import set_terms
from bailiwick_customers.actions.suspend_customer import suspend_customer
from bailiwick_customers.api import schemas
from bailiwick_customers.api.dependencies import Reads, Writes
from bailiwick_customers.domain.errors import (
    CustomerStateForbids,
    CustomerTooLarge,
    MainOverlap,
    MayNotHoldPortfolio,
    UnknownParent,
)
from bailiwick_customers.domain.views import Filters
from bailiwick_customers.rules.authorize import Viewed
from bailiwick_kit.errors import Missing
from bailiwick_kit.web.answer_headers import ETAG, LINK, LOCATION, POSITION, TAGGED, tells
from bailiwick_kit.web.bodies import SentBody, SentQuery, json_body, query
from bailiwick_kit.web.etags import IfMatch, IfNoneMatch
from bailiwick_kit.web.idempotency import IdempotencyKey, KeyInFlight, KeyReused
from bailiwick_kit.web.pages import Count, CursorInvalid, Key, Page
from bailiwick_kit.web.path_ids import PathId
from bailiwick_kit.web.problems import problems
from bailiwick_kit.web.submitted import Mapped
from bailiwick_kit.web.verbs import IfMatchAlone

router = APIRouter(prefix="/v1/customers", tags=["customers"])

_READ = problems(400, 401, 403, 422)
_LIST = problems(400, 401, 403, 422, CursorInvalid) | tells(200, LINK)
_ONE = problems(400, 401, 403, 404) | TAGGED
_CREATE = problems(
    *(400, 401, 403, 422, KeyInFlight, KeyReused, UnknownParent, MayNotHoldPortfolio),
    CustomerTooLarge,
) | tells(201, ETAG, LOCATION, POSITION)
_WRITTEN = tells(200, ETAG, POSITION)
_CHANGE = (400, 401, 403, 404, 412, 422, 428)
_BECAUSE = ("additional-may-not-edit", "not-assigned", "assignment-ended")
_EDIT = problems(*_CHANGE, UnknownParent, CustomerTooLarge, because=_BECAUSE) | _WRITTEN
_TERMS = problems(*_CHANGE, because=_BECAUSE) | _WRITTEN
_STATE = problems(*_CHANGE, CustomerStateForbids) | _WRITTEN
_APPROVE = problems(*_CHANGE, CustomerStateForbids, MainOverlap, MayNotHoldPortfolio) | _WRITTEN


@router.get("", operation_id="list_customers", responses=_LIST)
async def list_customers(
    context: Reads,
    pages: Paged,
    sent: Annotated[SentQuery[schemas.CustomerListQuery], query(schemas.CustomerListQuery)],
) -> Page[schemas.CustomerBody]:
    """List the customers that you may see, newest first."""
    visible = await context.gate.scope(context.caller, "customers")
    filters = sent.read().filters()
    holding = await _holding(context, filters)
    return await pages.of(
        sent,
        partial(context.app.queries.page, context, visible.scope, filters, holding),
        key=lambda row: Key(row.customer.created_at, row.customer.customer_id),
        item=lambda row: schemas.customer_body(row, visible.masks),
    )


@router.get("/count", operation_id="count_customers", responses=_READ)
async def count_customers(
    context: Reads,
    sent: Annotated[SentQuery[schemas.CustomerFilters], query(schemas.CustomerFilters)],
) -> Count:
    """Count the customers that you may see, exactly."""
    visible = await context.gate.scope(context.caller, "customers")
    filters = sent.read().filters()
    holding = await _holding(context, filters)
    return Count(count=await context.app.queries.count(context, visible.scope, filters, holding))


@router.get("/lookup", operation_id="look_up_customers", responses=_LIST)
async def look_up_customers(
    context: Reads,
    pages: Paged,
    sent: Annotated[SentQuery[schemas.LookupQuery], query(schemas.LookupQuery)],
) -> Page[schemas.LookupItem]:
    """Find customers to order for: id, name, city and country, newest first."""
    visible = await context.gate.scope(context.caller, "customers", "lookup")
    asked = sent.read()
    if visible.hides("customer", "search"):
        asked = asked.exactly()
    return await pages.of(
        sent,
        partial(
            context.app.queries.look_up,
            context,
            visible.scope,
            text=asked.text,
            code=asked.code,
            customer_id=asked.customer_id,
        ),
        key=lambda row: Key(row.listed_at, row.customer_id),
        item=schemas.lookup_item,
    )


@router.post("", operation_id="create_customer", status_code=201, responses=_CREATE)
async def post_customer(
    context: Writes,
    key: IdempotencyKey,
    body: Annotated[SentBody[schemas.NewCustomerBody], json_body(schemas.NewCustomerBody)],
) -> schemas.CustomerBody:
    """Create a customer. A representative's is in their portfolio from then on.

    It has at most 16 KiB: name, tax id, contacts, addresses and tags as JSON in UTF-8 without spaces.
    """
    act = context.act(key, body)
    submitted = Mapped(body, schemas.NewCustomerBody.command)
    written = await create_customer(
        context.app.open_unit, context.gate, context.caller, submitted, act
    )
    context.response.headers["Location"] = f"/v1/customers/{written.entity_id}"
    return _body(await context.answer(written, _viewed))


@router.get("/{customer_id}", operation_id="read_customer", responses=_ONE)
async def read_customer(
    customer_id: PathId,
    context: Reads,
    tagged: IfNoneMatch,
) -> schemas.CustomerBody:
    """Read a customer."""
    viewed = await _viewed(context, customer_id)
    tagged.with_version(viewed.version)
    return _body(viewed)


@router.patch("/{customer_id}", operation_id="edit_customer", responses=_EDIT)
async def patch_customer(
    customer_id: PathId,
    context: Writes,
    expected: IfMatch,
    body: Annotated[SentBody[schemas.CustomerEdit], json_body(schemas.CustomerEdit)],
) -> schemas.CustomerBody:
    """Change who a customer is; what is not sent stays.

    A customer has at most 16 KiB, as when it is created; one that was larger before may only not grow.
    """
    submitted = Mapped(body, schemas.CustomerEdit.changes)
    written = await edit_customer(
        context.app.open_unit, context.gate, context.caller, customer_id, expected, submitted
    )
    return _body(await context.answer(written, _viewed))


@router.patch("/{customer_id}/terms", operation_id="set_terms", responses=_TERMS)
async def patch_terms(
    customer_id: PathId,
    context: Writes,
    expected: IfMatch,
    body: Annotated[SentBody[schemas.TermsEdit], json_body(schemas.TermsEdit)],
) -> schemas.CustomerBody:
    """Set a customer's commercial conditions; what is not sent stays."""
    submitted = Mapped(body, schemas.TermsEdit.changes)
    written = await set_terms(
        context.app.open_unit, context.gate, context.caller, customer_id, expected, submitted
    )
    return _body(await context.answer(written, _viewed))


@router.post("/{customer_id}/approve", operation_id="approve_customer", responses=_APPROVE)
async def post_approval(
    customer_id: PathId,
    context: Writes,
    expected: IfMatch,
    body: Annotated[SentBody[schemas.Approval], json_body(schemas.Approval, optional=True)],
) -> schemas.CustomerBody:
    """Approve a customer who waits for it; a main representative may be named in the same act."""
    submitted = Mapped(body, lambda approval: approval.main_id)
    written = await approve_customer(
        context.app.open_unit, context.gate, context.caller, customer_id, expected, submitted
    )
    return _body(await context.answer(written, _viewed))


@router.post("/{customer_id}/suspend", operation_id="suspend_customer", responses=_STATE)
async def post_suspension(
    customer_id: PathId,
    context: Writes,
    expected: IfMatchAlone,
) -> schemas.CustomerBody:
    """Suspend a customer: no orders are placed for them until they are reinstated."""
    written = await suspend_customer(
        context.app.open_unit, context.gate, context.caller, customer_id, expected
    )
    return _body(await context.answer(written, _viewed))


@router.post("/{customer_id}/reinstate", operation_id="reinstate_customer", responses=_STATE)
async def post_reinstatement(
    customer_id: PathId,
    context: Writes,
    expected: IfMatchAlone,
) -> schemas.CustomerBody:
    """End a customer's suspension: orders may be placed for them again."""
    written = await reinstate_customer(
        context.app.open_unit, context.gate, context.caller, customer_id, expected
    )
    return _body(await context.answer(written, _viewed))


async def _holding(context: Reads, filters: Filters) -> Sequence[str]:
    return (
        ()
        if filters.unassigned is None
        else await context.app.queries.holding(context, context.gate)
    )


async def _viewed(context: Reads, customer_id: UUID) -> Viewed:
    # The facts first, which weigh the same whatever the customer holds (S2).
    facts = await context.app.queries.facts(context, customer_id)
    decision = await context.gate.decide(context.caller, "customers", "view", customer=facts)
    found = await context.app.queries.one(context, customer_id)
    if found is None:  # the gate has refused already; this is for the reader and the type checker
        raise Missing
    [shown] = await context.app.queries.shown(context, [found])
    return Viewed(shown, decision.masks)


def _body(viewed: Viewed) -> schemas.CustomerBody:
    return schemas.customer_body(viewed.shown, viewed.masks)
