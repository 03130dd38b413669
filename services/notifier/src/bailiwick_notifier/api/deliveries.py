"""Routes over deliveries: /v1/deliveries."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter

from bailiwick_access.listing import Paged
from bailiwick_kit.errors import Missing
from bailiwick_kit.web.answer_headers import LINK, tells
from bailiwick_kit.web.bodies import SentQuery, query
from bailiwick_kit.web.pages import Count, CursorInvalid, Key, Page
from bailiwick_kit.web.path_ids import PathId
from bailiwick_kit.web.problems import problems
from bailiwick_notifier.api import schemas
from bailiwick_notifier.api.dependencies import Reads

router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])

_READ = problems(400, 401, 403, 422)
_LIST = problems(400, 401, 403, 422, CursorInvalid) | tells(200, LINK)


@router.get("", operation_id="list_deliveries", responses=_LIST)
async def list_deliveries(
    context: Reads,
    pages: Paged,
    sent: Annotated[SentQuery[schemas.DeliveryListQuery], query(schemas.DeliveryListQuery)],
) -> Page[schemas.DeliveryBody]:
    """List the mails about new orders that you may see, newest first."""
    visible = await context.gate.scope(context.caller, "deliveries")
    return await pages.of(
        sent,
        partial(context.app.queries.page, context, visible.scope, sent.read().filters()),
        key=lambda row: Key(row.created_at, row.delivery_id),
        item=schemas.delivery_body,
    )


@router.get("/count", operation_id="count_deliveries", responses=_READ)
async def count_deliveries(
    context: Reads,
    sent: Annotated[SentQuery[schemas.DeliveryFilters], query(schemas.DeliveryFilters)],
) -> Count:
    """Count the mails about new orders that you may see, exactly."""
    visible = await context.gate.scope(context.caller, "deliveries")
    filters = sent.read().filters()
    return Count(count=await context.app.queries.count(context, visible.scope, filters))


@router.get("/{delivery_id}", operation_id="read_delivery", responses=problems(400, 401, 403, 404))
async def read_delivery(delivery_id: PathId, context: Reads) -> schemas.DeliveryBody:
    """Read what became of one mail."""
    caller = context.caller
    found = await context.app.queries.one(context, delivery_id)
    facts = schemas.delivery_facts(found, caller.member_id) if found else None
    await context.gate.decide(caller, "deliveries", "view", delivery=facts)
    if found is None:  # the gate has refused already; this is for the reader and the type checker
        raise Missing
    return schemas.delivery_body(found)
