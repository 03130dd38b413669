"""Routes over the caller's organization, and over who the caller is."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from bailiwick_access.context import SignedIn
from bailiwick_identity.actions.accept_membership import accept_membership
from bailiwick_identity.actions.change_organization import change_organization
from bailiwick_identity.api import schemas
from bailiwick_identity.api.dependencies import Reads, Running, Writes
from bailiwick_identity.domain.errors import NotInvited
from bailiwick_identity.domain.member import Member
from bailiwick_identity.domain.organization import Administered
from bailiwick_kit.errors import Missing
from bailiwick_kit.web.answer_headers import ETAG, POSITION, TAGGED, tells
from bailiwick_kit.web.bodies import SentBody, json_body
from bailiwick_kit.web.etags import IfMatch, IfNoneMatch
from bailiwick_kit.web.path_ids import PathId
from bailiwick_kit.web.problems import problems
from bailiwick_kit.web.submitted import Mapped
from bailiwick_kit.web.verbs import NoBody

router = APIRouter(tags=["organization"])


@router.get("/v1/me", operation_id="read_me", responses=problems(400, 401, 403))
async def read_me(context: Reads) -> schemas.MeBody:
    """Say who the caller is, and where; whatever their rights."""
    member = await _open_member(context)
    return schemas.me_body(
        member, await context.app.queries.organization(context), context.caller.now
    )


@router.get("/v1/memberships", operation_id="list_memberships", responses=problems(400, 401))
async def list_memberships(caller: SignedIn, app: Running) -> schemas.Memberships:
    """List all memberships of the caller's own account: to accept one, or to sign in as another."""
    found = await app.sign_ins.memberships(caller.account_id)
    return schemas.Memberships(
        items=tuple(schemas.membership_body(one, caller.now) for one in found)
    )


@router.post(
    "/v1/memberships/{member_id}/accept",
    operation_id="accept_membership",
    responses=problems(400, 401, 404, NotInvited) | tells(200, POSITION),
)
async def post_acceptance(
    member_id: PathId,
    context: Writes,
    body: NoBody,
) -> schemas.MembershipBody:
    """Accept an invitation that was made to the caller's own account."""
    written, accepted = await accept_membership(
        context.app.open_unit,
        context.app.sign_ins,
        context.caller.account_id,
        member_id,
        body,
        context.caller.now,
    )
    if accepted.org_id == context.caller.org_id:
        # Of another organization, no service could ever wait for it under this token; the token
        # that the person gets there next names the version itself (D2).
        context.tell(written.positions)
    return schemas.membership_body(accepted, context.caller.now)


@router.get(
    "/v1/organization", operation_id="read_organization", responses=problems(400, 401, 403) | TAGGED
)
async def read_organization(context: Reads, tagged: IfNoneMatch) -> schemas.OrganizationBody:
    """Read the organization: its settings too, for who administers it."""
    await _open_member(context)
    caller = context.caller
    if await context.gate.is_capable(caller, caller.subject, "organizations", "view"):
        seen = await _administered(context)
        body = schemas.organization_body(seen.organization, seen.seats_used)
    else:
        body = schemas.organization_body(await context.app.queries.organization(context), None)
    tagged.with_version(body.version)
    return body


@router.patch(
    "/v1/organization",
    operation_id="change_organization",
    responses=problems(400, 401, 403, 412, 422, 428) | tells(200, ETAG, POSITION),
)
async def patch_organization(
    context: Writes,
    expected: IfMatch,
    body: Annotated[SentBody[schemas.OrganizationEdit], json_body(schemas.OrganizationEdit)],
) -> schemas.OrganizationBody:
    """Change the organization's name and settings; what is not sent stays."""
    submitted = Mapped(body, schemas.OrganizationEdit.changes)
    done = await context.answer(
        await change_organization(
            context.app.open_unit, context.gate, context.caller, expected, submitted
        ),
        _again,
    )
    return schemas.organization_body(done.organization, done.seats_used)


async def _again(context: Reads, _: UUID) -> Administered:
    return await _administered(context)


async def _administered(context: Reads) -> Administered:
    seats_used = await context.app.queries.seats_used(context)
    return Administered(await context.app.queries.organization(context), seats_used)


async def _open_member(context: Reads) -> Member:
    """Return the caller's own member, if it is open to them at all."""
    member = await context.app.queries.member(context, context.caller.member_id)
    if member is None:  # the caller was found already; this is for the reader and the type checker
        raise Missing
    member.check_open(context.caller.now)
    return member
