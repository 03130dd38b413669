"""Routes over customers: /v1/customers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from bailiwick_access.authorizer import Gate
from bailiwick_access.listing import Paged
from bailiwick_access.requests import Act, Gated, Reading, Reads, SignedIn
from bailiwick_access.write_responses import Again, Answer, answering
from bailiwick_customers.actions.approve_customer import approve_customer
from bailiwick_customers.actions.create_customer import create_customer
from bailiwick_customers.actions.edit_customer import edit_customer
from bailiwick_customers.actions.ports import Filters, Queries, Viewed
from bailiwick_customers.actions.reinstate_customer import reinstate_customer
from bailiwick_customers.actions.set_terms import set_terms
from bailiwick_customers.actions.suspend_customer import suspend_customer
from bailiwick_customers.api import schemas
from bailiwick_customers.api.dependencies import Open, Queried
from bailiwick_customers.domain.errors import (
    CustomerStateForbids,
    CustomerTooLarge,
    MainOverlap,
    MayNotHoldPortfolio,
    UnknownParent,
)
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


async def _reading_again(gate: Gated, queries: Queried) -> Again[Viewed]:
    async def again(reading: Reading, customer_id: UUID) -> Viewed:
        return await _viewed(reading, gate, queries, customer_id)

    return again


Answering = Annotated[Answer[Viewed], answering("customers", _reading_again)]


@router.get("", operation_id="list_customers", responses=_LIST)
async def list_customers(
    reading: Reads,
    gate: Gated,
    queries: Queried,
    pages: Paged,
    sent: Annotated[SentQuery[schemas.CustomerListQuery], query(schemas.CustomerListQuery)],
) -> Page[schemas.CustomerBody]:
    """List the customers that you may see, newest first."""
    visible = await gate.scope(reading.caller, "customers")
    filters = sent.read().filters()
    holding = await _holding(reading, gate, queries, filters)
    return await pages.of(
        sent,
        partial(queries.page, reading, visible.scope, filters, holding),
        key=lambda row: Key(row.customer.created_at, row.customer.customer_id),
        item=lambda row: schemas.customer_body(row, visible.masks),
    )


@router.get("/count", operation_id="count_customers", responses=_READ)
async def count_customers(
    reading: Reads,
    gate: Gated,
    queries: Queried,
    sent: Annotated[SentQuery[schemas.CustomerFilters], query(schemas.CustomerFilters)],
) -> Count:
    """Count the customers that you may see, exactly."""
    visible = await gate.scope(reading.caller, "customers")
    filters = sent.read().filters()
    holding = await _holding(reading, gate, queries, filters)
    return Count(count=await queries.count(reading, visible.scope, filters, holding))


@router.get("/lookup", operation_id="look_up_customers", responses=_LIST)
async def look_up_customers(
    reading: Reads,
    gate: Gated,
    queries: Queried,
    pages: Paged,
    sent: Annotated[SentQuery[schemas.LookupQuery], query(schemas.LookupQuery)],
) -> Page[schemas.LookupItem]:
    """Find customers to order for: id, name, city and country, newest first."""
    visible = await gate.scope(reading.caller, "customers", "lookup")
    asked = sent.read()
    if visible.hides("customer", "search"):
        asked = asked.exactly()
    return await pages.of(
        sent,
        partial(
            queries.look_up,
            reading,
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
    request: Request,
    response: Response,
    caller: SignedIn,
    gate: Gated,
    open_unit: Open,
    answer: Answering,
    key: IdempotencyKey,
    body: Annotated[SentBody[schemas.NewCustomerBody], json_body(schemas.NewCustomerBody)],
) -> schemas.CustomerBody:
    """Create a customer. A representative's is in their portfolio from then on.

    It has at most 16 KiB: name, tax id, contacts, addresses and tags as JSON in UTF-8 without spaces.
    """
    act = Act(caller, "POST", request.url.path, key, body)
    submitted = Mapped(body, schemas.NewCustomerBody.command)
    written = await create_customer(open_unit, gate, caller, submitted, act)
    response.headers["Location"] = f"/v1/customers/{written.entity_id}"
    return _body(await answer.to(written))


@router.get("/{customer_id}", operation_id="read_customer", responses=_ONE)
async def read_customer(
    customer_id: PathId,
    reading: Reads,
    gate: Gated,
    queries: Queried,
    tagged: IfNoneMatch,
) -> schemas.CustomerBody:
    """Read a customer."""
    viewed = await _viewed(reading, gate, queries, customer_id)
    tagged.with_version(viewed.version)
    return _body(viewed)


@router.patch("/{customer_id}", operation_id="edit_customer", responses=_EDIT)
async def patch_customer(
    customer_id: PathId,
    caller: SignedIn,
    gate: Gated,
    open_unit: Open,
    answer: Answering,
    expected: IfMatch,
    body: Annotated[SentBody[schemas.CustomerEdit], json_body(schemas.CustomerEdit)],
) -> schemas.CustomerBody:
    """Change who a customer is; what is not sent stays.

    A customer has at most 16 KiB, as when it is created; one that was larger before may only not grow.
    """
    submitted = Mapped(body, schemas.CustomerEdit.changes)
    written = await edit_customer(open_unit, gate, caller, customer_id, expected, submitted)
    return _body(await answer.to(written))


@router.patch("/{customer_id}/terms", operation_id="set_terms", responses=_TERMS)
async def patch_terms(
    customer_id: PathId,
    caller: SignedIn,
    gate: Gated,
    open_unit: Open,
    answer: Answering,
    expected: IfMatch,
    body: Annotated[SentBody[schemas.TermsEdit], json_body(schemas.TermsEdit)],
) -> schemas.CustomerBody:
    """Set a customer's commercial conditions; what is not sent stays."""
    submitted = Mapped(body, schemas.TermsEdit.changes)
    written = await set_terms(open_unit, gate, caller, customer_id, expected, submitted)
    return _body(await answer.to(written))


@router.post("/{customer_id}/approve", operation_id="approve_customer", responses=_APPROVE)
async def post_approval(
    customer_id: PathId,
    caller: SignedIn,
    gate: Gated,
    open_unit: Open,
    answer: Answering,
    expected: IfMatch,
    body: Annotated[SentBody[schemas.Approval], json_body(schemas.Approval, optional=True)],
) -> schemas.CustomerBody:
    """Approve a customer who waits for it; a main representative may be named in the same act."""
    submitted = Mapped(body, lambda approval: approval.main_id)
    written = await approve_customer(open_unit, gate, caller, customer_id, expected, submitted)
    return _body(await answer.to(written))


@router.post("/{customer_id}/suspend", operation_id="suspend_customer", responses=_STATE)
async def post_suspension(
    customer_id: PathId,
    caller: SignedIn,
    gate: Gated,
    open_unit: Open,
    answer: Answering,
    expected: IfMatchAlone,
) -> schemas.CustomerBody:
    """Suspend a customer: no orders are placed for them until they are reinstated."""
    written = await suspend_customer(open_unit, gate, caller, customer_id, expected)
    return _body(await answer.to(written))


@router.post("/{customer_id}/reinstate", operation_id="reinstate_customer", responses=_STATE)
async def post_reinstatement(
    customer_id: PathId,
    caller: SignedIn,
    gate: Gated,
    open_unit: Open,
    answer: Answering,
    expected: IfMatchAlone,
) -> schemas.CustomerBody:
    """End a customer's suspension: orders may be placed for them again."""
    written = await reinstate_customer(open_unit, gate, caller, customer_id, expected)
    return _body(await answer.to(written))


async def _holding(
    reading: Reading, gate: Gate, queries: Queries, filters: Filters
) -> Sequence[str]:
    return () if filters.unassigned is None else await queries.holding(reading, gate)


async def _viewed(reading: Reading, gate: Gate, queries: Queries, customer_id: UUID) -> Viewed:
    # The facts first, which weigh the same whatever the customer holds (S2).
    facts = await queries.facts(reading, customer_id)
    decision = await gate.decide(reading.caller, "customers", "view", customer=facts)
    found = await queries.one(reading, customer_id)
    if found is None:  # the gate has refused already; this is for the reader and the type checker
        raise Missing
    [shown] = await queries.shown(reading, [found])
    return Viewed(shown, decision.masks)


def _body(viewed: Viewed) -> schemas.CustomerBody:
    return schemas.customer_body(viewed.shown, viewed.masks)
