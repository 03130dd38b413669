"""Routes over deliveries: /v1/deliveries."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter

from bailiwick_access.listing import Paged
from bailiwick_access.requests import Gated, Reads
from bailiwick_kit.errors import Missing
from bailiwick_kit.web.answer_headers import LINK, tells
from bailiwick_kit.web.bodies import SentQuery, query
from bailiwick_kit.web.pages import Count, CursorInvalid, Key, Page
from bailiwick_kit.web.path_ids import PathId
from bailiwick_kit.web.problems import problems
from bailiwick_notifier.api import schemas
from bailiwick_notifier.api.dependencies import Queried

router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])

_READ = problems(400, 401, 403, 422)
_LIST = problems(400, 401, 403, 422, CursorInvalid) | tells(200, LINK)


@router.get("", operation_id="list_deliveries", responses=_LIST)
async def list_deliveries(
    reading: Reads,
    gate: Gated,
    queries: Queried,
    pages: Paged,
    sent: Annotated[SentQuery[schemas.DeliveryListQuery], query(schemas.DeliveryListQuery)],
) -> Page[schemas.DeliveryBody]:
    """List the mails about new orders that you may see, newest first."""
    visible = await gate.scope(reading.caller, "deliveries")
    return await pages.of(
        sent,
        partial(queries.page, reading, visible.scope, sent.read().filters()),
        key=lambda row: Key(row.created_at, row.delivery_id),
        item=schemas.delivery_body,
    )


@router.get("/count", operation_id="count_deliveries", responses=_READ)
async def count_deliveries(
    reading: Reads,
    gate: Gated,
    queries: Queried,
    sent: Annotated[SentQuery[schemas.DeliveryFilters], query(schemas.DeliveryFilters)],
) -> Count:
    """Count the mails about new orders that you may see, exactly."""
    visible = await gate.scope(reading.caller, "deliveries")
    filters = sent.read().filters()
    return Count(count=await queries.count(reading, visible.scope, filters))


@router.get("/{delivery_id}", operation_id="read_delivery", responses=problems(400, 401, 403, 404))
async def read_delivery(
    delivery_id: PathId, reading: Reads, gate: Gated, queries: Queried
) -> schemas.DeliveryBody:
    """Read what became of one mail."""
    caller = reading.caller
    found = await queries.one(reading, delivery_id)
    facts = schemas.delivery_facts(found, caller.member_id) if found else None
    await gate.decide(caller, "deliveries", "view", delivery=facts)
    if found is None:  # the gate has refused already; this is for the reader and the type checker
        raise Missing
    return schemas.delivery_body(found)
