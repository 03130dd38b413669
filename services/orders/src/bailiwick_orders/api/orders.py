"""Routes over orders: /v1/orders."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from bailiwick_access.listing import Paged
from bailiwick_kit.errors import Missing
from bailiwick_kit.web.answer_headers import ETAG, LINK, LOCATION, POSITION, TAGGED, tells
from bailiwick_kit.web.bodies import SentBody, SentQuery, json_body, query
from bailiwick_kit.web.etags import IfMatch, IfNoneMatch
from bailiwick_kit.web.idempotency import IdempotencyKey, KeyInFlight, KeyReused
from bailiwick_kit.web.middleware import MIB
from bailiwick_kit.web.pages import Count, CursorInvalid, Key, Page, PageQuery
from bailiwick_kit.web.path_ids import PathId
from bailiwick_kit.web.problems import problems
from bailiwick_kit.web.submitted import Mapped
from bailiwick_kit.web.verbs import IfMatchAlone
from bailiwick_orders.actions.cancel_order import cancel_order
from bailiwick_orders.actions.confirm_order import confirm_order
from bailiwick_orders.actions.create_order import create_order
from bailiwick_orders.actions.edit_order import edit_order
from bailiwick_orders.actions.fulfil_order import fulfil_order
from bailiwick_orders.actions.place_order import place_order
from bailiwick_orders.api import schemas
from bailiwick_orders.api.dependencies import Reads, Writes
from bailiwick_orders.api.filters import OrderFilters, OrderListQuery
from bailiwick_orders.domain.errors import (
    AmountTooLarge,
    CustomerStateForbids,
    NotAssigned,
    NumberTaken,
    OrderStateForbids,
    OtherCurrency,
)
from bailiwick_orders.domain.views import EarlierVersion
from bailiwick_orders.rules.authorize import Viewed

router = APIRouter(prefix="/v1/orders", tags=["orders"])

_READ = problems(400, 401, 403)
_LIST = problems(400, 401, 403, 422, CursorInvalid) | tells(200, LINK)
_ONE = problems(400, 401, 403, 404)
_CREATE = problems(
    *(400, 401, 403, 404, 422),
    *(KeyInFlight, KeyReused, CustomerStateForbids, NumberTaken),
    *(NotAssigned, AmountTooLarge, OtherCurrency),
    because=("not-assigned", "assignment-ended"),
) | tells(201, ETAG, LOCATION, POSITION)
_WRITTEN = tells(200, ETAG, POSITION)
_BECAUSE = (
    *("order-not-own-as-additional", "not-own-draft", "not-assigned", "assignment-ended"),
    "order-state-forbids",
)
_CHANGE = (400, 401, 403, 404, 412, 422, 428, OrderStateForbids)
_STEP = problems(*_CHANGE, CustomerStateForbids, because=_BECAUSE) | _WRITTEN
_EDIT = (
    problems(*(*_CHANGE, CustomerStateForbids, AmountTooLarge, OtherCurrency), because=_BECAUSE)
    | _WRITTEN
)
_PLACE = problems(*_CHANGE, CustomerStateForbids, NotAssigned, because=_BECAUSE) | _WRITTEN


@router.get("", operation_id="list_orders", responses=_LIST)
async def list_orders(
    context: Reads,
    pages: Paged,
    sent: Annotated[SentQuery[OrderListQuery], query(OrderListQuery)],
) -> Page[schemas.OrderSummary]:
    """List the orders that you may see, newest first."""
    visible = await context.gate.scope(context.caller, "orders")
    hides_customers = visible.hides("order", "customer")
    filters = sent.read().filters(hides_customers=hides_customers)
    return await pages.of(
        sent,
        partial(context.app.queries.page, context, visible.scope, filters),
        key=lambda row: Key(row.order.listed_at, row.order.order_id),
        item=lambda row: schemas.order_summary(row, hides_customers=hides_customers),
    )


@router.get("/count", operation_id="count_orders", responses=_READ)
async def count_orders(
    context: Reads,
    sent: Annotated[SentQuery[OrderFilters], query(OrderFilters)],
) -> Count:
    """Count the orders that you may see, exactly."""
    visible = await context.gate.scope(context.caller, "orders")
    filters = sent.read().filters(hides_customers=visible.hides("order", "customer"))
    return Count(count=await context.app.queries.count(context, visible.scope, filters))


@router.post("", operation_id="create_order", status_code=201, responses=_CREATE)
async def post_order(
    context: Writes,
    key: IdempotencyKey,
    body: Annotated[
        SentBody[schemas.NewOrderBody], json_body(schemas.NewOrderBody, most_bytes=MIB)
    ],
) -> schemas.OrderBody:
    """Create a draft, or with `place` an order that is placed in the same commit."""
    act = context.act(key, body)
    parent = Mapped(body.part(schemas.ParentBody), lambda part: part.customer_id)
    submitted = Mapped(body, schemas.NewOrderBody.command)
    done = await create_order(
        context.app.open_unit, context.gate, context.caller, parent, submitted, act
    )
    context.response.headers["Location"] = f"/v1/orders/{done.entity_id}"
    return schemas.order_body(await context.answer(done, _viewed))


@router.get("/{order_id}", operation_id="read_order", responses=_ONE | TAGGED)
async def read_order(
    order_id: PathId,
    context: Reads,
    tagged: IfNoneMatch,
) -> schemas.OrderBody:
    """Read an order with its lines."""
    viewed = await _viewed(context, order_id)
    tagged.with_version(viewed.version)
    return schemas.order_body(viewed)


@router.get("/{order_id}/versions", operation_id="list_order_versions", responses=_ONE | _LIST)
async def list_versions(
    order_id: PathId,
    context: Reads,
    pages: Paged,
    sent: Annotated[SentQuery[PageQuery], query(PageQuery)],
) -> Page[schemas.EarlierVersionBody]:
    """List what edits of an order replaced, latest first; what it is now is the order itself."""
    order = (await _viewed(context, order_id)).seen.order

    async def read(*, limit: int, after: tuple[datetime, UUID] | None) -> list[EarlierVersion]:
        before = after[1].int if after else None
        return await context.app.queries.earlier_versions(
            context, order_id, limit=limit, before=before
        )

    return await pages.of(
        sent,
        read,
        # A version has its number in place of an id.
        key=lambda row: Key(order.listed_at, UUID(int=row.version)),
        item=lambda row: schemas.earlier_version_body(row, order.currency),
    )


@router.patch("/{order_id}", operation_id="edit_order", responses=_EDIT)
async def patch_order(
    order_id: PathId,
    context: Writes,
    expected: IfMatch,
    body: Annotated[
        SentBody[schemas.OrderEditBody], json_body(schemas.OrderEditBody, most_bytes=MIB)
    ],
) -> schemas.OrderBody:
    """Change lines or note. A confirmed order takes a reason, and keeps what it was."""
    submitted = Mapped(body, schemas.OrderEditBody.command)
    done = await edit_order(
        context.app.open_unit, context.gate, context.caller, order_id, expected, submitted
    )
    return schemas.order_body(await context.answer(done, _viewed))


@router.post("/{order_id}/place", operation_id="place_order", responses=_PLACE)
async def post_placing(
    order_id: PathId,
    context: Writes,
    expected: IfMatch,
    body: Annotated[SentBody[schemas.Placing], json_body(schemas.Placing, optional=True)],
) -> schemas.OrderBody:
    """Place a draft: the order comes in, is dated and credited."""
    submitted = Mapped(body, lambda placing: placing.credited_to)
    done = await place_order(
        context.app.open_unit, context.gate, context.caller, order_id, expected, submitted
    )
    return schemas.order_body(await context.answer(done, _viewed))


@router.post("/{order_id}/confirm", operation_id="confirm_order", responses=_STEP)
async def post_confirmation(
    order_id: PathId,
    context: Writes,
    expected: IfMatchAlone,
) -> schemas.OrderBody:
    """Confirm a placed order."""
    done = await confirm_order(
        context.app.open_unit, context.gate, context.caller, order_id, expected
    )
    return schemas.order_body(await context.answer(done, _viewed))


@router.post("/{order_id}/fulfil", operation_id="fulfil_order", responses=_STEP)
async def post_fulfilment(
    order_id: PathId,
    context: Writes,
    expected: IfMatchAlone,
) -> schemas.OrderBody:
    """Mark a confirmed order as fulfilled."""
    done = await fulfil_order(
        context.app.open_unit, context.gate, context.caller, order_id, expected
    )
    return schemas.order_body(await context.answer(done, _viewed))


@router.post("/{order_id}/cancel", operation_id="cancel_order", responses=_STEP)
async def post_cancellation(
    order_id: PathId,
    context: Writes,
    expected: IfMatchAlone,
) -> schemas.OrderBody:
    """Cancel an order that is not fulfilled."""
    done = await cancel_order(
        context.app.open_unit, context.gate, context.caller, order_id, expected
    )
    return schemas.order_body(await context.answer(done, _viewed))


async def _viewed(context: Reads, order_id: UUID) -> Viewed:
    # The facts first, which weigh the same whatever the order holds: its lines tell no time (S2).
    facts = await context.app.queries.facts(context, order_id)
    decision = await context.gate.decide(context.caller, "orders", "view", order=facts)
    found = await context.app.queries.one(context, order_id)
    if found is None:  # the gate has refused already; this is for the reader and the type checker
        raise Missing
    return Viewed(found, decision.masks)
