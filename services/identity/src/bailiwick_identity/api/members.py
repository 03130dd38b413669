"""Routes over members and service accounts."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from bailiwick_access.listing import Paged
from bailiwick_identity.actions.change_member import change_member
from bailiwick_identity.actions.create_member import create_member
from bailiwick_identity.actions.create_service_account import create_service_account
from bailiwick_identity.actions.deactivate_member import deactivate_member
from bailiwick_identity.actions.reactivate_member import reactivate_member
from bailiwick_identity.api import schemas
from bailiwick_identity.api.dependencies import Reads, Writes
from bailiwick_identity.domain.errors import (
    AlreadyActive,
    AlreadyInactive,
    CustomCeiling,
    GrantNotHeld,
    LastBrandManager,
    MemberExists,
    PasswordNotAllowed,
    SeatLimitReached,
)
from bailiwick_identity.domain.member import Member
from bailiwick_identity.rules.authorize import facts_of
from bailiwick_kit.errors import Missing
from bailiwick_kit.web.answer_headers import ETAG, LINK, LOCATION, POSITION, TAGGED, tells
from bailiwick_kit.web.bodies import SentBody, SentQuery, json_body, query
from bailiwick_kit.web.etags import IfMatch, IfNoneMatch
from bailiwick_kit.web.idempotency import IdempotencyKey, KeyInFlight, KeyReused
from bailiwick_kit.web.pages import CursorInvalid, Key, Page
from bailiwick_kit.web.path_ids import PathId
from bailiwick_kit.web.problems import problems
from bailiwick_kit.web.submitted import Mapped
from bailiwick_kit.web.verbs import IfMatchAlone

router = APIRouter(tags=["members"])

_LIST = problems(400, 401, 403, 422, CursorInvalid) | tells(200, LINK)
_NEW = (400, 401, 403, 422, GrantNotHeld, KeyInFlight, KeyReused)
_CREATED = tells(201, ETAG, LOCATION, POSITION)
_CREATE = (
    problems(*_NEW, MemberExists, SeatLimitReached, PasswordNotAllowed, CustomCeiling) | _CREATED
)
_CREATE_SERVICE = problems(*_NEW) | _CREATED
_WRITTEN = tells(200, ETAG, POSITION)
_ACT = (400, 401, 403, 404, 412, 422, 428, GrantNotHeld)
_CHANGE = problems(*_ACT, CustomCeiling, LastBrandManager, SeatLimitReached) | _WRITTEN
_DEACTIVATE = problems(*_ACT, LastBrandManager, AlreadyInactive) | _WRITTEN
_REACTIVATE = problems(*_ACT, SeatLimitReached, AlreadyActive) | _WRITTEN


@router.get("/v1/members", operation_id="list_members", responses=_LIST)
async def list_members(
    context: Reads,
    pages: Paged,
    sent: Annotated[SentQuery[schemas.MemberFilters], query(schemas.MemberFilters)],
) -> Page[schemas.MemberBody]:
    """List members and service accounts, newest first."""
    visible = await context.gate.scope(context.caller, "members")
    return await pages.of(
        sent,
        partial(context.app.queries.page, context, visible.scope, sent.read().filters()),
        key=lambda row: Key(row.created_at, row.member_id),
        item=partial(schemas.member_body, now=context.caller.now),
    )


@router.post("/v1/members", operation_id="create_member", status_code=201, responses=_CREATE)
async def post_member(
    context: Writes,
    key: IdempotencyKey,
    body: Annotated[SentBody[schemas.NewMemberBody], json_body(schemas.NewMemberBody)],
) -> schemas.CreatedMember:
    """Create a member with email and password. The answer does not say whether the email has an account."""
    act = context.act(key, body)
    submitted = Mapped(body, schemas.NewMemberBody.command)
    written = await create_member(
        context.app.open_unit, context.gate, context.app.passwords, context.caller, submitted, act
    )
    context.response.headers["Location"] = f"/v1/members/{written.entity_id}"
    return schemas.created_member(await context.answer(written, _shown))


@router.get(
    "/v1/members/{member_id}",
    operation_id="read_member",
    responses=problems(400, 401, 403, 404) | TAGGED,
)
async def read_member(
    member_id: PathId,
    context: Reads,
    tagged: IfNoneMatch,
) -> schemas.MemberBody:
    """Read a member."""
    member = await _shown(context, member_id)
    tagged.with_version(member.version)
    return schemas.member_body(member, context.caller.now)


@router.patch("/v1/members/{member_id}", operation_id="change_member", responses=_CHANGE)
async def patch_member(
    member_id: PathId,
    context: Writes,
    expected: IfMatch,
    body: Annotated[SentBody[schemas.MemberEdit], json_body(schemas.MemberEdit)],
) -> schemas.MemberBody:
    """Change what a member is granted, their name, language or end; what is not sent stays."""
    submitted = Mapped(body, schemas.MemberEdit.changes)
    written = await change_member(
        context.app.open_unit, context.gate, context.caller, member_id, expected, submitted
    )
    return schemas.member_body(await context.answer(written, _shown), context.caller.now)


@router.post(
    "/v1/members/{member_id}/deactivate", operation_id="deactivate_member", responses=_DEACTIVATE
)
async def post_deactivation(
    member_id: PathId,
    context: Writes,
    expected: IfMatchAlone,
) -> schemas.MemberBody:
    """Deactivate a member, withdraw an invitation, or stop a service account."""
    written = await deactivate_member(
        context.app.open_unit, context.gate, context.caller, member_id, expected
    )
    return schemas.member_body(await context.answer(written, _shown), context.caller.now)


@router.post(
    "/v1/members/{member_id}/reactivate", operation_id="reactivate_member", responses=_REACTIVATE
)
async def post_reactivation(
    member_id: PathId,
    context: Writes,
    expected: IfMatchAlone,
) -> schemas.MemberBody:
    """Let a member come back, with the grants they had."""
    written = await reactivate_member(
        context.app.open_unit, context.gate, context.caller, member_id, expected
    )
    return schemas.member_body(await context.answer(written, _shown), context.caller.now)


@router.post(
    "/v1/service-accounts",
    operation_id="create_service_account",
    status_code=201,
    responses=_CREATE_SERVICE,
)
async def post_service_account(
    context: Writes,
    key: IdempotencyKey,
    body: Annotated[
        SentBody[schemas.NewServiceAccountBody], json_body(schemas.NewServiceAccountBody)
    ],
) -> schemas.CreatedServiceAccount:
    """Create a storefront's account. Its secret is in this answer and nowhere else."""
    act = context.act(key, body)
    submitted = Mapped(body, lambda sent: sent.name)
    written, secret = await create_service_account(
        context.app.open_unit, context.gate, context.caller, submitted, act
    )
    context.response.headers["Location"] = f"/v1/members/{written.entity_id}"
    member = await context.answer(written, _shown)
    return schemas.CreatedServiceAccount(
        member_id=member.member_id,
        name=member.name,
        client_id=member.member_id,
        client_secret=secret,
        version=member.version,
    )


async def _shown(context: Reads, member_id: UUID) -> Member:
    member = await context.app.queries.member(context, member_id)
    facts = facts_of(member) if member else None
    await context.gate.decide(context.caller, "members", "view", member=facts)
    if member is None:  # the gate has refused already; this is for the reader and the type checker
        raise Missing
    return member
