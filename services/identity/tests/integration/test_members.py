"""Members: who creates them, with which grants, and what is not told (D3, domain §3, L1, L7)."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.identity import PASSWORD, IdentityService

SOMEBODY = "01a20244-c8a1-766b-be71-a8e811c95218"


def new(**changes: Any) -> dict[str, Any]:
    return {
        "name": "Ana",
        "email": "ana@wines.example",
        "password": PASSWORD,
        "role": "sales_representative",
        **changes,
    }


async def change(
    house: IdentityService, who: Person, member: dict[str, Any], **body: Any
) -> httpx2.Response:
    path = f"/v1/members/{member['member_id']}"
    current = await house.api.get(who, path)
    return await house.api.patch(who, path, body, current.headers.get("etag", '"v1"'))


async def act(house: IdentityService, who: Person, member_id: object, verb: str) -> httpx2.Response:
    headers = {"If-Match": "*"}
    return await house.api.send(who, "POST", f"/v1/members/{member_id}/{verb}", headers=headers)


async def test_creating_a_member_does_not_tell_whether_the_address_has_an_account(
    house: IdentityService,
) -> None:
    mia = await house.found()
    other = await house.found(email="known@wines.example")
    answers = [
        await house.api.post(mia, "/v1/members", new(email=email))
        for email in ("known@wines.example", "fresh@wines.example")
    ]

    bodies = [answer.json() for answer in answers]
    for body, answer in zip(bodies, answers, strict=True):
        assert answer.status_code == 201, answer.text
        assert answer.headers["etag"].startswith('"v1-')
        assert answer.headers["location"] == f"/v1/members/{body['member_id']}"
        assert answer.headers["bailiwick-position"].startswith(f"identity:{body['member_id']}:1:")
        for name in ("member_id", "email", "created_at", "valid_from"):
            body.pop(name)
    assert bodies[0] == bodies[1]
    assert "status" not in bodies[0]
    assert len(answers[0].content) == len(answers[1].content), "addresses of one length"
    assert (await house.sign_in("fresh@wines.example")).is_success
    still = await house.person("known@wines.example")
    assert still.org_id == other.org_id, "the invitation waits"


async def test_only_the_accounts_owner_accepts_an_invitation(house: IdentityService) -> None:
    mia, known = await house.found(), await house.found(email="known@wines.example")
    invited = await house.member(mia, email="known@wines.example", role="sales_manager")
    assert invited["status"] == "invited"
    path = f"/v1/memberships/{invited['member_id']}/accept"

    assert (await house.api.post(mia, path)).status_code == 404
    assert (await house.api.post(None, path)).status_code == 401
    worded = [await house.api.post(who, path, {"role": "x"}) for who in (mia, known)]
    assert [answer.status_code for answer in worded] == [404, 422]
    accepted = await house.api.post(known, path)
    assert (accepted.status_code, accepted.json()["status"]) == (200, "active")
    assert "bailiwick-position" not in accepted.headers, "it is another organization's"
    again = await house.api.post(known, path)
    assert (again.status_code, again.json()["code"]) == (409, "invitation-not-open")
    assert (await house.read(mia, invited["member_id"]))["status"] == "active"


async def test_a_withdrawn_invitation_comes_back_as_one(house: IdentityService) -> None:
    mia, known = await house.found(), await house.found(email="known@wines.example")
    invited = await house.member(mia, email="known@wines.example", role="sales_manager")
    assert (await act(house, mia, invited["member_id"], "deactivate")).status_code == 200
    path = f"/v1/memberships/{invited['member_id']}/accept"
    assert (await house.api.post(known, path)).status_code == 409

    back = await act(house, mia, invited["member_id"], "reactivate")

    assert back.json()["status"] == "invited"


async def test_one_membership_per_account_for_ever(house: IdentityService) -> None:
    mia = await house.found()
    ana = await house.member(mia, **new())
    await act(house, mia, ana["member_id"], "deactivate")

    again = await house.api.post(mia, "/v1/members", new(email="ANA@wines.example"))

    assert (again.status_code, again.json()["code"]) == (409, "member-exists")


async def test_a_repeated_request_makes_one_member_and_no_password_can_be_read_from_it(
    house: IdentityService,
) -> None:
    mia = await house.found()
    headers = {"Idempotency-Key": "k1"}
    answers = [await house.api.post(mia, "/v1/members", new(), headers=headers) for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    other = await house.api.post(mia, "/v1/members", new(name="Eva"), headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"password": "short"}, "password"),
        ({"password": "Bailiwick2026!!"}, "password"),
        ({"password": "ana@wines.example"}, "password"),
        ({"password": "aaaaaaaaaaaaaaaaaaaa"}, "password"),
        ({"password": "é" * 520}, "password"),
        ({"password": None}, "password"),
        ({"email": "nobody"}, "email"),
        ({"email": "a@b@c"}, "email"),
        ({"role": "owner"}, "role"),
        ({"role": None}, "role"),
        ({"permissions": ["seller"]}, "permissions"),
        ({"role": None, "permissions": ["everything"]}, "permissions[0]"),
        ({"ticks": {"prices": "edit"}}, "ticks"),
        ({"collections": [SOMEBODY]}, "collections"),
        ({"valid_until": "2020-01-01T00:00:00Z"}, "valid_until"),
        ({"valid_until": "tomorrow"}, "valid_until"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"language": "de"}, "language"),
        ({"org_id": SOMEBODY}, "org_id"),
        ({"status": "active"}, "status"),
        ({"account_id": SOMEBODY}, "account_id"),
        ({"version": 7}, "version"),
        ({"kind": "service"}, "kind"),
        ({"accepted_at": "2020-01-01T00:00:00Z"}, "accepted_at"),
        ({"__class__": "x"}, "__class__"),
    ],
    ids=str,
)
async def test_what_cannot_be_a_member_is_refused_by_field(
    shared: IdentityService, changes: dict[str, Any], where: str
) -> None:
    mia = await shared.found()

    answer = await shared.api.post(mia, "/v1/members", new(**changes))

    assert answer.status_code == 422, answer.text
    assert where in [fault["where"] for fault in answer.json()["errors"]]
    assert "umbrellas" not in answer.text


async def test_a_custom_member_is_never_granted_orders(house: IdentityService) -> None:
    mia = await house.found()
    zoe = await house.member(mia, role="custom_member", ticks={"prices": "edit"})

    for body in (
        {"ticks": {"prices": "edit", "orders": "edit"}},
        {"permissions": ["orders"]},
        {"role": "custom_member", "permissions": ["orders"]},
    ):
        refused = await change(house, mia, zoe, **body)
        assert (refused.status_code, refused.json()["code"]) == (422, "custom-ceiling"), body
    created = await house.api.post(
        mia, "/v1/members", new(role="custom_member", ticks={"orders": "view"})
    )
    assert (created.status_code, created.json()["code"]) == (422, "custom-ceiling")
    unknown = await change(house, mia, zoe, ticks={"nonsense": "edit"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "invalid")
    promoted = await change(house, mia, zoe, mode="permissions", permissions=["orders"])
    assert promoted.json()["permissions"] == ["orders"]
    assert (promoted.json()["role"], promoted.json()["ticks"]) == (None, {})


async def test_nobody_grants_what_they_do_not_hold(house: IdentityService) -> None:
    mia = await house.found()
    nora = await house.hired(mia, permissions=["members", "reports"])
    leo = await house.hired(mia, permissions=["members", "seller"])
    ana = await house.member(mia, permissions=["seller"])
    zoe = await house.member(mia, permissions=["settings"])

    async def granted(who: Person, member: dict[str, Any], *permissions: str) -> Any:
        answer = await change(house, who, member, permissions=list(permissions))
        return answer.json().get("missing", answer.status_code)

    # Nora sells nothing herself: Ana's portfolio is above her, whatever she would make of it.
    assert await granted(nora, ana, "seller", "prices") == ["portfolio"]
    assert "prices" in await granted(leo, ana, "seller", "prices")
    assert await granted(leo, ana, "seller", "members") == ["members"]
    assert await granted(leo, ana, "seller", "integrations") == ["integrations"]
    assert await granted(leo, ana, "seller", "reports") == 200
    assert await granted(leo, ana, "seller", "settings") == ["settings"]
    assert await granted(leo, zoe, "seller") == ["settings"], "nor takes it away"
    role = await change(house, leo, ana, role="brand_manager")
    assert (role.status_code, role.json()["code"]) == (403, "grant-not-held")
    manager = await house.api.get(mia, f"/v1/members/{mia.member_id}")
    for verb in ("deactivate", "reactivate"):
        refused = await act(house, leo, manager.json()["member_id"], verb)
        assert (refused.status_code, refused.json()["code"]) == (403, "grant-not-held")
    made = await house.api.post(leo, "/v1/members", new(role="sales_assistant"))
    assert made.status_code == 201, made.text
    made = await house.api.post(leo, "/v1/members", new(email="b@c.example", role="brand_manager"))
    assert made.json()["code"] == "grant-not-held"
    shop = await house.api.post(leo, "/v1/service-accounts", {"name": "Web shop"})
    assert shop.json()["missing"] == ["integrations"]


async def test_nobody_changes_who_holds_more_than_they_do(house: IdentityService) -> None:
    mia = await house.found()
    leo = await house.hired(mia, permissions=["members", "seller"])
    shop = (await house.api.post(mia, "/v1/service-accounts", {"name": "Web shop"})).json()
    above = [
        (await house.read(mia, mia.member_id), "members"),
        (await house.member(mia, permissions=["integrations"]), "integrations"),
        (await house.member(mia, permissions=["members"]), "members"),
        (await house.member(mia, permissions=["seller", "prices"]), "prices"),
        (await house.member(mia, role="custom_member", ticks={"looks": "edit"}), "looks"),
        (shop, "integrations"),
    ]
    for member, held in above:
        for answer in (
            await change(house, leo, member, name="Renamed"),
            await change(house, leo, member, valid_until="2099-01-01T00:00:00Z"),
            await act(house, leo, member["member_id"], "deactivate"),
            await act(house, leo, member["member_id"], "reactivate"),
        ):
            assert (answer.status_code, answer.json()["reasons"]) == (403, ["grant-not-held"])
            assert held in answer.json()["missing"]
        assert (await house.read(mia, member["member_id"]))["name"] != "Renamed"
        renamed = await change(house, mia, member, name="Renamed")
        assert renamed.status_code == 200, "a brand manager may"
    equal = await house.member(mia, role="sales_manager")
    assert (await change(house, leo, equal, name="Omar")).status_code == 200
    assert (await act(house, leo, equal["member_id"], "deactivate")).status_code == 200


async def test_who_keeps_the_members_list_renames_themselves_and_regrants_nothing(
    house: IdentityService,
) -> None:
    mia = await house.found()
    leo = await house.hired(mia, permissions=["members", "seller"])
    me = await house.read(mia, leo.member_id)

    assert (await change(house, leo, me, name="Leo", language="fr")).json()["name"] == "Leo"
    for body in (
        {"permissions": ["members", "seller", "integrations"]},
        {"permissions": ["members"]},
        {"valid_until": "2099-01-01T00:00:00Z"},
    ):
        refused = await change(house, leo, me, **body)
        assert (refused.status_code, refused.json()["code"]) == (403, "grant-not-held")


@pytest.mark.parametrize(
    "rights",
    [
        {"role": "sales_manager"},
        {"role": "sales_administrator"},
        {"role": "sales_representative"},
        {"role": "sales_assistant"},
        {"role": "custom_member", "ticks": {"customers": "edit"}},
        {"permissions": []},
        {"permissions": ["seller"]},
        {"permissions": ["settings", "customers", "orders"]},
    ],
    ids=str,
)
async def test_who_does_not_keep_the_members_list_learns_nothing_of_it(
    shared: IdentityService, rights: dict[str, Any]
) -> None:
    mia = await shared.found()
    who = await shared.hired(mia, **rights)
    mine, random = f"/v1/members/{mia.member_id}", f"/v1/members/{uuid4()}"

    for answer in (
        await shared.api.get(who, "/v1/members"),
        await shared.api.get(who, mine),
        await shared.api.get(who, random),
        await shared.api.post(who, "/v1/members", {"nonsense": 1}),
        await shared.api.post(who, "/v1/service-accounts", {}),
        await shared.api.send(who, "PATCH", mine, content=b"{"),
        await act(shared, who, mia.member_id, "deactivate"),
    ):
        assert answer.status_code == 403, answer.text
        assert answer.json()["reasons"] == ["capability-missing"]
    me = await shared.api.get(who, "/v1/me")
    assert me.status_code == 200
    assert me.json()["member"]["member_id"] == str(who.member_id)
    short = (await shared.api.get(who, "/v1/organization")).json()
    administers = "settings" in rights.get("permissions", [])
    assert (short["administration"] is not None) is administers
    assert (short["time_zone"], short["currency"]) == ("Europe/Madrid", "EUR")


async def test_answers_come_in_their_order(house: IdentityService) -> None:
    mia = await house.found()
    ana = await house.member(mia, **new())
    path, random = f"/v1/members/{ana['member_id']}", f"/v1/members/{uuid4()}"

    missing = await house.api.send(mia, "PATCH", random, content=b"{")
    assert missing.status_code == 404
    elsewhere = await house.api.send(await house.found(), "PATCH", path, content=b"{")
    assert elsewhere.status_code == 404
    assert {**elsewhere.json(), "trace_id": 0} == {**missing.json(), "trace_id": 0}
    assert (await house.api.send(mia, "PATCH", path, content=b"{")).status_code == 428
    stale = await house.api.send(mia, "PATCH", path, content=b"{", headers={"If-Match": '"v9"'})
    assert stale.status_code == 412
    held = {"If-Match": '"v1"', "Content-Type": "application/json"}
    assert (await house.api.send(mia, "PATCH", path, content=b"{", headers=held)).status_code == 400
    wrong = await house.api.patch(mia, path, {"version": 3, "email": "x@y.example"}, '"v1"')
    assert {fault["where"] for fault in wrong.json()["errors"]} == {"version", "email"}
    assert (await house.api.get(mia, "/v1/members/x")).status_code == 404


async def test_the_last_brand_manager_cannot_go(house: IdentityService) -> None:
    mia = await house.found()
    me = await house.read(mia, mia.member_id)
    for answer in (
        await act(house, mia, mia.member_id, "deactivate"),
        await change(house, mia, me, role="sales_manager"),
        await change(house, mia, me, mode="permissions", permissions=["members", "settings"]),
        await change(house, mia, me, valid_until="2099-01-01T00:00:00Z"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "last-brand-manager")
    ends = await house.member(mia, role="brand_manager", valid_until="2099-01-01T00:00:00Z")
    assert (await act(house, mia, mia.member_id, "deactivate")).status_code == 409
    opened = await change(house, mia, ends, valid_until=None)
    assert opened.status_code == 200, opened.text
    stepped_down = await change(house, mia, me, role="sales_manager")
    assert (stepped_down.status_code, stepped_down.json()["role"]) == (200, "sales_manager")
    assert (await act(house, mia, ends["member_id"], "deactivate")).status_code == 403


async def test_two_brand_managers_who_unseat_each_other_do_not_both_succeed(
    house: IdentityService,
) -> None:
    mia = await house.found()
    eva = await house.hired(mia, role="brand_manager")

    answers = await asyncio.gather(
        act(house, mia, eva.member_id, "deactivate"), act(house, eva, mia.member_id, "deactivate")
    )

    assert sorted(answer.status_code for answer in answers) in ([200, 403], [200, 409])


async def test_seats_are_counted_and_freed(house: IdentityService) -> None:
    mia = await house.found(seat_limit=2)
    ana = await house.member(mia, **new())
    full = await house.api.post(mia, "/v1/members", new(email="bo@wines.example"))
    assert (full.status_code, full.json()["code"]) == (409, "seat-limit-reached")
    assert (full.json()["seat_limit"], full.json()["seats_used"]) == (2, 2)
    assert not (await house.sign_in("bo@wines.example")).is_success, "no account is left behind"
    shop = await house.api.post(mia, "/v1/service-accounts", {"name": "Web shop"})
    assert shop.status_code == 201, "storefronts take none"
    await act(house, mia, ana["member_id"], "deactivate")
    assert (await house.api.get(mia, "/v1/organization")).json()["administration"][
        "seats_used"
    ] == 1

    answers = await asyncio.gather(
        *(house.api.post(mia, "/v1/members", new(email=f"{n}@wines.example")) for n in range(4))
    )

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    back = await act(house, mia, ana["member_id"], "reactivate")
    assert back.json()["code"] == "seat-limit-reached"


async def test_a_service_accounts_secret_is_shown_once(house: IdentityService) -> None:
    mia = await house.found()
    headers = {"Idempotency-Key": "k1"}
    first, second = [
        await house.api.post(mia, "/v1/service-accounts", {"name": "Web shop"}, headers=headers)
        for _ in range(2)
    ]
    assert first.json()["member_id"] == second.json()["member_id"]
    assert len(first.json()["client_secret"]) == 43
    assert second.json()["client_secret"] is None
    listed = await house.api.get(mia, "/v1/members?kind=service")
    assert [one["name"] for one in listed.json()["items"]] == ["Web shop"]
    assert first.json()["client_secret"] not in listed.text
    refused = await change(house, mia, first.json(), role="brand_manager")
    assert refused.status_code == 422
    await act(house, mia, first.json()["member_id"], "deactivate")
    credentials = {name: first.json()[name] for name in ("client_id", "client_secret")}
    stopped = await house.token({"grant_type": "client_credentials", **credentials})
    assert (stopped.status_code, stopped.json()["code"]) == (401, "account-inactive")


async def test_members_are_listed_in_pages_and_narrowed(house: IdentityService) -> None:
    mia = await house.found()
    for name in ("Çağla", "Bruno O’Brien-Łódź", "Ana"):
        await house.member(mia, name=name, role="sales_representative")

    seen, path = [], "/v1/members?limit=2"
    while path:
        page = await house.api.get(mia, path)
        seen += [one["name"] for one in page.json()["items"]]
        cursor = page.json()["next_cursor"]
        path = f"/v1/members?limit=2&cursor={cursor}" if cursor else ""
    assert seen == ["Ana", "Bruno O’Brien-Łódź", "Çağla", "Mia"]
    for query, names in (
        ("text=CAGLA", ["Çağla"]),
        ("text=%25", []),
        ("text=ines", []),
        ("text=na", []),
        ("text=wines+cagla", ["Çağla"]),
        ("text=O'BRIEN", ["Bruno O’Brien-Łódź"]),
        ("text=lodz+bruno", ["Bruno O’Brien-Łódź"]),
        ("status=inactive", []),
        ("status=active&text=wines", ["Ana", "Bruno O’Brien-Łódź", "Çağla", "Mia"]),
    ):
        found = await house.api.get(mia, f"/v1/members?{query}")
        assert [one["name"] for one in found.json()["items"]] == names, query
    for query in ("limit=0", "status=x", "nonsense=1", "cursor=x"):
        assert (await house.api.get(mia, f"/v1/members?{query}")).status_code == 422
