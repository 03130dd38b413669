"""Routes over the caller's organization, and over who the caller is."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response

from bailiwick_access.requests import AtEntrance, Gated, Reading, Reads, SignedIn
from bailiwick_access.write_responses import Again, Answer, answering, told
from bailiwick_identity.actions.accept_membership import accept_membership
from bailiwick_identity.actions.change_organization import change_organization
from bailiwick_identity.actions.ports import Administered
from bailiwick_identity.api import schemas
from bailiwick_identity.api.dependencies import AtDesk, Open, Queried
from bailiwick_identity.domain.errors import NotInvited
from bailiwick_identity.domain.member import Member
from bailiwick_kit.errors import Missing
from bailiwick_kit.web.answer_headers import ETAG, POSITION, TAGGED, tells
from bailiwick_kit.web.bodies import SentBody, json_body
from bailiwick_kit.web.etags import IfMatch, IfNoneMatch
from bailiwick_kit.web.path_ids import PathId
from bailiwick_kit.web.problems import problems
from bailiwick_kit.web.submitted import Mapped
from bailiwick_kit.web.verbs import NoBody

router = APIRouter(tags=["organization"])


async def _reading_again(queries: Queried) -> Again[Administered]:
    async def again(reading: Reading, _: UUID) -> Administered:
        return await _administered(reading, queries)

    return again


Answering = Annotated[Answer[Administered], answering("identity", _reading_again)]


@router.get("/v1/me", operation_id="read_me", responses=problems(400, 401, 403))
async def read_me(reading: Reads, queries: Queried) -> schemas.MeBody:
    """Say who the caller is, and where; whatever their rights."""
    member = await _open_member(reading, queries)
    return schemas.me_body(member, await queries.organization(reading), reading.caller.now)


@router.get("/v1/memberships", operation_id="list_memberships", responses=problems(400, 401))
async def list_memberships(caller: SignedIn, desk: AtDesk) -> schemas.Memberships:
    """List all memberships of the caller's own account: to accept one, or to sign in as another."""
    found = await desk.sign_ins.memberships(caller.account_id)
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
    response: Response,
    caller: SignedIn,
    entrance: AtEntrance,
    desk: AtDesk,
    open_unit: Open,
    body: NoBody,
) -> schemas.MembershipBody:
    """Accept an invitation that was made to the caller's own account."""
    written, accepted = await accept_membership(
        open_unit, desk.sign_ins, caller.account_id, member_id, body, caller.now
    )
    if accepted.org_id == caller.org_id:
        # Of another organization, no service could ever wait for it under this token; the token
        # that the person gets there next names the version itself (D2).
        told(response, entrance, caller, "identity", written.positions)
    return schemas.membership_body(accepted, caller.now)


@router.get(
    "/v1/organization", operation_id="read_organization", responses=problems(400, 401, 403) | TAGGED
)
async def read_organization(
    reading: Reads, gate: Gated, queries: Queried, tagged: IfNoneMatch
) -> schemas.OrganizationBody:
    """Read the organization: its settings too, for who administers it."""
    await _open_member(reading, queries)
    caller = reading.caller
    if await gate.is_capable(caller, caller.subject, "organizations", "view"):
        seen = await _administered(reading, queries)
        body = schemas.organization_body(seen.organization, seen.seats_used)
    else:
        body = schemas.organization_body(await queries.organization(reading), None)
    tagged.with_version(body.version)
    return body


@router.patch(
    "/v1/organization",
    operation_id="change_organization",
    responses=problems(400, 401, 403, 412, 422, 428) | tells(200, ETAG, POSITION),
)
async def patch_organization(
    caller: SignedIn,
    gate: Gated,
    open_unit: Open,
    answer: Answering,
    expected: IfMatch,
    body: Annotated[SentBody[schemas.OrganizationEdit], json_body(schemas.OrganizationEdit)],
) -> schemas.OrganizationBody:
    """Change the organization's name and settings; what is not sent stays."""
    submitted = Mapped(body, schemas.OrganizationEdit.changes)
    done = await answer.to(await change_organization(open_unit, gate, caller, expected, submitted))
    return schemas.organization_body(done.organization, done.seats_used)


async def _administered(reading: Reading, queries: Queried) -> Administered:
    seats_used = await queries.seats_used(reading)
    return Administered(await queries.organization(reading), seats_used)


async def _open_member(reading: Reading, queries: Queried) -> Member:
    """Return the caller's own member, if it is open to them at all."""
    member = await queries.member(reading, reading.caller.member_id)
    if member is None:  # the caller was found already; this is for the reader and the type checker
        raise Missing
    member.check_open(reading.caller.now)
    return member
