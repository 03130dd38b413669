"""Routes over the caller's own preferences: /v1/notification-preferences."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from bailiwick_kit.web.answer_headers import ETAG, TAGGED, tells
from bailiwick_kit.web.bodies import SentBody, json_body
from bailiwick_kit.web.etags import IfMatch, IfNoneMatch, etag
from bailiwick_kit.web.problems import problems
from bailiwick_kit.web.submitted import Mapped
from bailiwick_notifier.actions.change_preferences import change_preferences, facts_of
from bailiwick_notifier.api import schemas
from bailiwick_notifier.api.dependencies import Reads, Writes

router = APIRouter(prefix="/v1/notification-preferences", tags=["notification-preferences"])


@router.get(
    "", operation_id="read_notification_preferences", responses=problems(400, 401, 403) | TAGGED
)
async def read_preferences(context: Reads, tagged: IfNoneMatch) -> schemas.PreferencesBody:
    """Read what you want of mails about new orders."""
    own = facts_of(context.caller.org_id)
    await context.gate.decide(context.caller, "preferences", "view", preference=own)
    body = schemas.preferences_body(await context.app.queries.preferences(context))
    tagged.with_version(body.version)
    return body


@router.put(
    "",
    operation_id="change_notification_preferences",
    responses=problems(400, 401, 403, 412, 422, 428) | tells(200, ETAG),
)
async def put_preferences(
    context: Writes,
    expected: IfMatch,
    body: Annotated[SentBody[schemas.PreferencesToBe], json_body(schemas.PreferencesToBe)],
) -> schemas.PreferencesBody:
    """Say what you want of mails about new orders, from the next one on."""
    submitted = Mapped(body, schemas.PreferencesToBe.command)
    preferences = await change_preferences(
        context.app.open_unit, context.gate, context.caller, expected, submitted
    )
    context.response.headers["ETag"] = etag(preferences.version)
    return schemas.preferences_body(preferences)
