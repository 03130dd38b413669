"""Routes over members and service accounts."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from bailiwick_access.authorizer import Gate
from bailiwick_access.listing import Paged
from bailiwick_access.requests import Act, Gated, Reading, Reads, SignedIn
from bailiwick_access.write_responses import Again, Answer, answering
from bailiwick_identity.actions.authorize import facts_of
from bailiwick_identity.actions.change_member import change_member
from bailiwick_identity.actions.create_member import create_member
from bailiwick_identity.actions.create_service_account import create_service_account
from bailiwick_identity.actions.deactivate_member import deactivate_member
from bailiwick_identity.actions.ports import Queries
from bailiwick_identity.actions.reactivate_member import reactivate_member
from bailiwick_identity.api import schemas
from bailiwick_identity.api.dependencies import AtDesk, Open, Queried
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


async def _reading_again(gate: Gated, queries: Queried) -> Again[Member]:
    async def again(reading: Reading, member_id: UUID) -> Member:
        return await _shown(reading, gate, queries, member_id)

    return again


Answering = Annotated[Answer[Member], answering("identity", _reading_again)]


@router.get("/v1/members", operation_id="list_members", responses=_LIST)
async def list_members(
    reading: Reads,
    gate: Gated,
    queries: Queried,
    pages: Paged,
    sent: Annotated[SentQuery[schemas.MemberFilters], query(schemas.MemberFilters)],
) -> Page[schemas.MemberBody]:
    """List members and service accounts, newest first."""
    visible = await gate.scope(reading.caller, "members")
    return await pages.of(
        sent,
        partial(queries.page, reading, visible.scope, sent.read().filters()),
        key=lambda row: Key(row.created_at, row.member_id),
        item=partial(schemas.member_body, now=reading.caller.now),
    )


@router.post("/v1/members", operation_id="create_member", status_code=201, responses=_CREATE)
async def post_member(
    request: Request,
    response: Response,
    caller: SignedIn,
    gate: Gated,
    open_unit: Open,
    answer: Answering,
    desk: AtDesk,
    key: IdempotencyKey,
    body: Annotated[SentBody[schemas.NewMemberBody], json_body(schemas.NewMemberBody)],
) -> schemas.CreatedMember:
    """Create a member with email and password. The answer does not say whether the email has an account."""
    act = Act(caller, "POST", request.url.path, key, body)
    submitted = Mapped(body, schemas.NewMemberBody.command)
    written = await create_member(open_unit, gate, desk.passwords, caller, submitted, act)
    response.headers["Location"] = f"/v1/members/{written.entity_id}"
    return schemas.created_member(await answer.to(written))


@router.get(
    "/v1/members/{member_id}",
    operation_id="read_member",
    responses=problems(400, 401, 403, 404) | TAGGED,
)
async def read_member(
    member_id: PathId,
    reading: Reads,
    gate: Gated,
    queries: Queried,
    tagged: IfNoneMatch,
) -> schemas.MemberBody:
    """Read a member."""
    member = await _shown(reading, gate, queries, member_id)
    tagged.with_version(member.version)
    return schemas.member_body(member, reading.caller.now)


@router.patch("/v1/members/{member_id}", operation_id="change_member", responses=_CHANGE)
async def patch_member(
    member_id: PathId,
    caller: SignedIn,
    gate: Gated,
    open_unit: Open,
    answer: Answering,
    expected: IfMatch,
    body: Annotated[SentBody[schemas.MemberEdit], json_body(schemas.MemberEdit)],
) -> schemas.MemberBody:
    """Change what a member is granted, their name, language or end; what is not sent stays."""
    submitted = Mapped(body, schemas.MemberEdit.changes)
    written = await change_member(open_unit, gate, caller, member_id, expected, submitted)
    return schemas.member_body(await answer.to(written), caller.now)


@router.post(
    "/v1/members/{member_id}/deactivate", operation_id="deactivate_member", responses=_DEACTIVATE
)
async def post_deactivation(
    member_id: PathId,
    caller: SignedIn,
    gate: Gated,
    open_unit: Open,
    answer: Answering,
    expected: IfMatchAlone,
) -> schemas.MemberBody:
    """Deactivate a member, withdraw an invitation, or stop a service account."""
    written = await deactivate_member(open_unit, gate, caller, member_id, expected)
    return schemas.member_body(await answer.to(written), caller.now)


@router.post(
    "/v1/members/{member_id}/reactivate", operation_id="reactivate_member", responses=_REACTIVATE
)
async def post_reactivation(
    member_id: PathId,
    caller: SignedIn,
    gate: Gated,
    open_unit: Open,
    answer: Answering,
    expected: IfMatchAlone,
) -> schemas.MemberBody:
    """Let a member come back, with the grants they had."""
    written = await reactivate_member(open_unit, gate, caller, member_id, expected)
    return schemas.member_body(await answer.to(written), caller.now)


@router.post(
    "/v1/service-accounts",
    operation_id="create_service_account",
    status_code=201,
    responses=_CREATE_SERVICE,
)
async def post_service_account(
    request: Request,
    response: Response,
    caller: SignedIn,
    gate: Gated,
    open_unit: Open,
    answer: Answering,
    key: IdempotencyKey,
    body: Annotated[
        SentBody[schemas.NewServiceAccountBody], json_body(schemas.NewServiceAccountBody)
    ],
) -> schemas.CreatedServiceAccount:
    """Create a storefront's account. Its secret is in this answer and nowhere else."""
    act = Act(caller, "POST", request.url.path, key, body)
    submitted = Mapped(body, lambda sent: sent.name)
    written, secret = await create_service_account(open_unit, gate, caller, submitted, act)
    response.headers["Location"] = f"/v1/members/{written.entity_id}"
    member = await answer.to(written)
    return schemas.CreatedServiceAccount(
        member_id=member.member_id,
        name=member.name,
        client_id=member.member_id,
        client_secret=secret,
        version=member.version,
    )


async def _shown(reading: Reading, gate: Gate, queries: Queries, member_id: UUID) -> Member:
    member = await queries.member(reading, member_id)
    facts = facts_of(member) if member else None
    await gate.decide(reading.caller, "members", "view", member=facts)
    if member is None:  # the gate has refused already; this is for the reader and the type checker
        raise Missing
    return member
