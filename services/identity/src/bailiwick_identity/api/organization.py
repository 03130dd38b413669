"""Routes over the caller's organization, and over who the caller is."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response

from bailiwick_access.answering import Answer, Show, Written, answering, told
from bailiwick_access.requests import AtEntrance, Gated, Reading, Reads, SignedIn
from bailiwick_identity.actions.accept_membership import accept_membership
from bailiwick_identity.actions.change_organization import change_organization
from bailiwick_identity.api import wire
from bailiwick_identity.api.parts import AtDesk, Open, Queried
from bailiwick_identity.domain.member import Member
from bailiwick_kit.bodies import SentBody, json_body
from bailiwick_kit.errors import Missing
from bailiwick_kit.etags import IfMatch, IfNoneMatch, etag
from bailiwick_kit.problems import problems
from bailiwick_kit.submitted import Mapped

router = APIRouter(tags=["organization"])


async def _showing(gate: Gated, queries: Queried) -> Show[wire.OrganizationBody]:
    async def show(reading: Reading, _: Written) -> wire.OrganizationBody:
        return await _shown(reading, gate, queries)

    return show


Answering = Annotated[Answer[wire.OrganizationBody], answering("identity", _showing)]


@router.get("/v1/me", operation_id="read_me", responses=problems(400, 401, 403))
async def read_me(reading: Reads, queries: Queried) -> wire.MeBody:
    """Say who the caller is, and where; whatever their rights."""
    member = await _open_member(reading, queries)
    return wire.me_body(member, await queries.organization(reading))


@router.get("/v1/memberships", operation_id="list_memberships", responses=problems(400, 401))
async def list_memberships(caller: SignedIn, desk: AtDesk) -> wire.Memberships:
    """List all memberships of the caller's own account: to accept one, or to sign in as another."""
    found = await desk.sign_ins.memberships(caller.account_id)
    return wire.Memberships(items=tuple(wire.membership_body(one) for one in found))


@router.post(
    "/v1/memberships/{member_id}/accept",
    operation_id="accept_membership",
    responses=problems(400, 401, 404, 409),
)
async def post_acceptance(
    member_id: UUID,
    response: Response,
    caller: SignedIn,
    entrance: AtEntrance,
    desk: AtDesk,
    open_unit: Open,
) -> wire.MembershipBody:
    """Accept an invitation that was made to the caller's own account."""
    written = await accept_membership(
        open_unit, desk.sign_ins, caller.account_id, member_id, caller.now
    )
    found = await desk.sign_ins.memberships(caller.account_id)
    accepted = next(one for one in found if one.member_id == member_id)
    if accepted.org_id == caller.org_id:
        # Of another organization, no service could ever wait for it under this token; the token
        # that the person gets there next names the version itself (D2).
        told(response, entrance, caller, "identity", written)
    return wire.membership_body(accepted)


@router.get("/v1/organization", operation_id="read_organization", responses=problems(400, 401, 403))
async def read_organization(
    response: Response, reading: Reads, gate: Gated, queries: Queried, held: IfNoneMatch
) -> wire.OrganizationBody:
    """Read the organization: its settings too, for who administers it."""
    await _open_member(reading, queries)
    body = await _shown(reading, gate, queries)
    if body.administration is None:
        return held.answer(response, body, body.version)
    # The seats taken are no part of the version: they change with the members.
    response.headers["ETag"] = etag(body.version)
    return body


@router.patch(
    "/v1/organization",
    operation_id="change_organization",
    responses=problems(400, 401, 403, 412, 422, 428),
)
async def patch_organization(
    caller: SignedIn,
    gate: Gated,
    open_unit: Open,
    answer: Answering,
    expected: IfMatch,
    body: Annotated[SentBody[wire.OrganizationEdit], json_body(wire.OrganizationEdit)],
) -> wire.OrganizationBody:
    """Change the organization's name and settings; what is not sent stays."""
    submitted = Mapped(body, wire.OrganizationEdit.changes)
    return await answer.to(await change_organization(open_unit, gate, caller, expected, submitted))


async def _shown(reading: Reading, gate: Gated, queries: Queried) -> wire.OrganizationBody:
    caller = reading.caller
    administers = await gate.is_capable(caller, caller.subject, "organizations", "view")
    seats_used = await queries.seats_used(reading) if administers else None
    return wire.organization_body(await queries.organization(reading), seats_used)


async def _open_member(reading: Reading, queries: Queried) -> Member:
    """Return the caller's own member, if it is open to them at all."""
    member = await queries.member(reading, reading.caller.member_id)
    if member is None:  # the caller was found already; this is for the reader and the type checker
        raise Missing
    member.check_open(reading.caller.now)
    return member
