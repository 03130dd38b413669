"""What was committed is answered as done, and no secret is lost, whatever fails from then on."""

from __future__ import annotations

import pytest

from bailiwick_testkit.checks.committing import nothing_answers_after_commits
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.identity import PASSWORD, IdentityService


async def test_a_secret_that_is_shown_once_is_shown(house: IdentityService) -> None:
    mia = await house.found()
    with nothing_answers_after_commits():
        made = await house.api.post(mia, "/v1/service-accounts", {"name": "Shop"})
    assert made.status_code == 201, made.text
    account = made.json()
    form = {key: account[key] for key in ("client_id", "client_secret")}
    assert (await house.token({"grant_type": "client_credentials", **form})).status_code == 200
    assert made.headers["location"] == f"/v1/members/{account['member_id']}"
    assert made.headers["bailiwick-position"].startswith(f"identity:{account['member_id']}:1:")


@pytest.mark.parametrize("verb", ["change", "deactivate", "reactivate"])
async def test_a_changed_member_is_answered_as_it_is_read(
    house: IdentityService, verb: str
) -> None:
    mia = await house.found()
    path = f"/v1/members/{(await house.member(mia, role='sales_assistant'))['member_id']}"
    match_any = {"If-Match": "*"}
    if verb == "reactivate":
        await house.api.post(mia, f"{path}/deactivate", headers=match_any)
    with nothing_answers_after_commits():
        if verb == "change":
            done = await house.api.patch(mia, path, {"role": "custom_member"}, "*")
        else:
            done = await house.api.post(mia, f"{path}/{verb}", headers=match_any)
    assert done.status_code == 200, done.text
    read = await house.api.get(mia, path)
    assert (done.content, done.headers["etag"]) == (read.content, read.headers["etag"])


async def test_a_created_member_and_a_changed_organization_are_answered(
    house: IdentityService,
) -> None:
    mia = await house.found()
    new = {
        "name": "Ana",
        "email": "once@wines.example",
        "password": PASSWORD,
        "role": "custom_member",
    }
    with nothing_answers_after_commits():
        made = await house.api.post(mia, "/v1/members", new)
    assert made.status_code == 201, made.text
    assert (await house.api.get(mia, made.headers["location"])).json()["name"] == "Ana"
    with nothing_answers_after_commits():
        settings = {"settings": {"notify_additional": True}}
        changed = await house.api.patch(mia, "/v1/organization", settings, "*")
    read = await house.api.get(mia, "/v1/organization")
    assert (changed.content, changed.headers["etag"]) == (read.content, read.headers["etag"])


async def test_an_accepted_membership_is_answered(house: IdentityService) -> None:
    mia, known = await house.found(), "known.once@wines.example"
    other = await house.found(email=known)
    invited = await house.member(mia, role="sales_assistant", email=known)
    owner: Person = other
    with nothing_answers_after_commits():
        done = await house.api.post(owner, f"/v1/memberships/{invited['member_id']}/accept")
    assert done.status_code == 200, done.text
    mine = (await house.api.get(owner, "/v1/memberships")).json()["items"]
    assert done.json() in mine
    assert done.json()["status"] == "active"
