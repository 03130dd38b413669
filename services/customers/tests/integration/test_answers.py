"""The order of answers, and that foreign and missing are the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

Create = Callable[..., Awaitable[dict[str, Any]]]


def masked(body: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(body)
    document.pop("trace_id")
    return document


async def test_a_foreign_record_answers_like_a_missing_one(
    shop: ServiceUnderTest, create: Create
) -> None:
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    foreign = (await create(bruno))["path"]
    missing = f"/v1/customers/{uuid4()}"
    for method, suffix, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": 7}),
        ("PATCH", "/terms", {"discount": "7"}),
        ("POST", "/approve", None),
        ("GET", "/assignments", None),
        ("POST", "/assignments", {"relation": "nonsense"}),
    ):
        answers = [
            await shop.api.send(ana, method, path + suffix, json=body)
            for path in (foreign, missing)
        ]
        assert answers[0].status_code == answers[1].status_code
        assert masked(answers[0].text) == masked(answers[1].text), (method, suffix)
        assert answers[0].status_code == (403 if suffix in {"/approve", "/assignments"} else 404)


async def test_answers_come_in_the_one_order(shop: ServiceUnderTest, create: Create) -> None:
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    zoe = await shop.member("custom_member")
    mine = await create(ana)
    bad: dict[str, Any] = {"name": "", "nonsense": True}

    async def patch(who: Any, etag: str | None, body: dict[str, Any]) -> tuple[int, str]:
        answer = await shop.api.patch(who, mine["path"], body, etag)
        return answer.status_code, answer.json().get("code", "")

    assert await patch(None, None, bad) == (401, "unauthenticated")
    assert await patch(zoe, None, bad) == (403, "capability-missing")
    assert await patch(bruno, None, bad) == (404, "not-found")
    assert await patch(ana, None, bad) == (428, "precondition-required")
    assert await patch(ana, '"v7"', bad) == (412, "stale")
    assert await patch(ana, '"v1"', bad) == (422, "invalid")
    assert (await patch(ana, '"v1"', {"name": "Better"}))[0] == 200


async def test_approving_what_is_approved_is_a_conflict_of_states(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    one = await create(mia)
    headers = {"If-Match": '"v1"'}
    answer = await shop.api.post(mia, one["path"] + "/approve", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "customer-state-forbids")


async def test_a_conflict_is_told_last_where_a_representative_is_named_too(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia, nora, tom, bruno = [
        await shop.member(role)
        for role in (
            "brand_manager",
            "sales_administrator",
            "sales_assistant",
            "sales_representative",
        )
    ]
    await shop.settings(assignment_model="single")
    path = (await create(mia))["path"]

    async def post(who: Person, act: str, body: dict[str, Any]) -> tuple[int, str]:
        answer = await shop.api.post(who, f"{path}/{act}", body, headers={"If-Match": "*"})
        return answer.status_code, answer.json()["code"]

    assistant = {"main_id": str(tom.member_id)}, {"member_id": str(tom.member_id)}
    representative = {"main_id": str(bruno.member_id)}, {"member_id": str(bruno.member_id)}
    additional = {"relation": "additional"}
    assert [
        await post(nora, "approve", representative[0]),
        await post(mia, "approve", assistant[0]),
        await post(mia, "approve", representative[0]),
        await post(mia, "assignments", assistant[1] | additional),
        await post(mia, "assignments", representative[1] | additional),
    ] == [
        (403, "capability-missing"),
        (422, "may-not-hold-portfolio"),
        (409, "customer-state-forbids"),
        (422, "may-not-hold-portfolio"),
        (409, "assignment-model-single"),
    ]


async def test_a_stale_tab_does_not_overwrite(shop: ServiceUnderTest, create: Create) -> None:
    ana = await shop.member("sales_representative")
    one = await create(ana)
    first = await shop.api.patch(ana, one["path"], {"name": "First"}, '"v1"')
    assert first.headers["etag"].startswith('"v2-')
    second = await shop.api.patch(ana, one["path"], {"name": "Second"}, '"v1"')
    assert second.status_code == 412
    assert (await shop.api.get(ana, one["path"])).json()["name"] == "First"


async def test_a_reassigned_customer_has_another_tag_of_the_same_version(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia, ana = await shop.member("brand_manager"), await shop.member("sales_representative")
    one = await create(ana)
    tag = (await shop.api.get(mia, one["path"])).headers["etag"]
    held = {"If-None-Match": tag}
    assert (await shop.api.get(mia, one["path"], headers=held)).status_code == 304
    body = {"member_id": str(mia.member_id), "relation": "additional"}
    assert (await shop.api.post(mia, one["path"] + "/assignments", body)).status_code == 201
    after = await shop.api.get(mia, one["path"], headers=held)
    assert (after.status_code, after.json()["version"]) == (200, 1)
    assert after.json()["additional_ids"] == [str(mia.member_id)]
    assert (await shop.api.patch(mia, one["path"], {"name": "x"}, tag)).status_code == 200


async def test_no_field_that_is_not_the_callers_to_set_is_taken(
    shop: ServiceUnderTest, create: Create
) -> None:
    ana = await shop.member("sales_representative")
    one = await create(ana)
    for field, value in (
        ("org_id", str(uuid4())),
        ("created_by", str(uuid4())),
        ("status", "approved"),
        ("version", 9),
        ("code", "AAAA"),
        ("main_id", str(ana.member_id)),
        ("terms", {"discount": "0.9"}),
        ("__class__", "x"),
    ):
        answer = await shop.api.patch(ana, one["path"], {field: value}, '"v1"')
        assert answer.status_code == 422, field
        assert answer.json()["errors"][0]["where"] == field


async def test_bad_bodies_are_named_and_never_a_server_error(shop: ServiceUnderTest) -> None:
    ana = await shop.member("sales_representative")
    for raw, status in (
        (b"{", 400),
        (b"[]", 400),
        (b'{"name": "a\\u0000b"}', 422),
        (b'{"name": "\\ud800"}', 422),
        (b'{"name": "   "}', 422),
        (b'{"name": 7}', 422),
        (b'{"name": "A", "addresses": [{"country": "XX"}]}', 422),
        (b'{"name": "A", "addresses": [{"country": "ES", "subdivision": "FR-75"}]}', 422),
        (
            b'{"name": "A", "addresses": [{"country":"ES","primary":true},{"country":"ES","primary":true}]}',
            422,
        ),
        (b'{"name": "A", "contacts": [{"name": "B", "email": "not an address"}]}', 422),
        (b'{"name": "A", "terms": {"discount": "1.5"}}', 422),
        (b'{"name": "A", "parent_id": "01900000-0000-7000-8000-000000000000"}', 422),
        (b'{"name": "' + b"x" * 2_000_000 + b'"}', 413),
    ):
        answer = await shop.api.send(
            ana, "POST", "/v1/customers", content=raw, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == status, (raw[:60], answer.text)
        assert answer.headers["content-type"].startswith("application/problem+json")
    assert (await shop.api.get(ana, "/v1/customers/count")).json() == {"count": 0}


async def test_a_parent_out_of_sight_is_refused_like_one_that_is_not_there(
    shop: ServiceUnderTest, create: Create
) -> None:
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    foreign = (await create(bruno))["customer_id"]
    answers = [
        await shop.api.post(ana, "/v1/customers", {"name": "Shop", "parent_id": parent})
        for parent in (foreign, str(uuid4()))
    ]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert masked(answers[0].text) == masked(answers[1].text)


async def test_a_second_click_creates_one_customer(shop: ServiceUnderTest) -> None:
    ana = await shop.member("sales_representative")
    headers = {"Idempotency-Key": "click-1"}
    body = {"name": "Once"}
    first = await shop.api.post(ana, "/v1/customers", body, headers=headers)
    again = await shop.api.post(ana, "/v1/customers", body, headers=headers)
    other = await shop.api.post(ana, "/v1/customers", {"name": "Other"}, headers=headers)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert (await shop.api.get(ana, "/v1/customers/count")).json() == {"count": 1}


async def test_a_repeat_is_answered_under_the_callers_present_scope(shop: ServiceUnderTest) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    headers = {"Idempotency-Key": "click-1"}
    made = await shop.api.post(ana, "/v1/customers", {"name": "Once"}, headers=headers)
    path = made.headers["location"] + "/assignments"
    to_bruno = {"member_id": str(bruno.member_id), "relation": "main"}
    assert (await shop.api.post(mia, path, to_bruno)).status_code == 201
    again = await shop.api.post(ana, "/v1/customers", {"name": "Once"}, headers=headers)
    assert again.status_code == 404


async def test_nobody_without_an_active_membership_does_anything(shop: ServiceUnderTest) -> None:
    ana = await shop.member("brand_manager")
    left = await shop.member("brand_manager", member_id=ana.member_id, status="inactive")
    answer = await shop.api.get(left, "/v1/customers")
    assert (answer.status_code, answer.json()["code"]) == (403, "account-inactive")


async def test_organizations_do_not_see_each_other(shop: ServiceUnderTest, create: Create) -> None:
    mia = await shop.member("brand_manager")
    one = await create(mia)
    other_org = shop.identity.organization(name="Rival")
    rival = shop.identity.person(other_org, "brand_manager")
    await shop.tell()
    assert (await shop.api.get(rival, one["path"])).status_code == 404
    assert (await shop.api.get(rival, "/v1/customers/count")).json() == {"count": 0}


async def test_a_parent_is_shown_to_whoever_may_view_it_and_to_nobody_else(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    parent = await create(mia, name="Head office")
    child = await create(
        mia, name="Branch", parent_id=parent["customer_id"], main_id=str(ana.member_id)
    )
    assert (await shop.api.get(mia, child["path"])).json()["parent_id"] == parent["customer_id"]
    assert (await shop.api.get(ana, child["path"])).json()["parent_id"] is None
    assert (await shop.api.get(ana, "/v1/customers")).json()["items"][0]["parent_id"] is None
    to_ana = {"member_id": str(ana.member_id), "relation": "additional"}
    await shop.api.post(mia, parent["path"] + "/assignments", to_ana)
    assert (await shop.api.get(ana, child["path"])).json()["parent_id"] == parent["customer_id"]


async def test_a_creator_who_goes_on_viewing_a_parent_is_shown_it_and_changes_it(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    ana, bruno = [await shop.member("sales_representative") for _ in range(2)]
    parent = await create(ana)
    child = await create(mia, parent_id=parent["customer_id"], main_id=str(ana.member_id))
    to_bruno = {"member_id": str(bruno.member_id), "relation": "main"}
    await shop.api.post(mia, parent["path"] + "/assignments", to_bruno)

    async def shown() -> object:
        found = (await shop.api.get(ana, child["path"])).json()["parent_id"]
        listed = (await shop.api.get(ana, "/v1/customers")).json()["items"]
        assert found in {one["parent_id"] for one in listed}
        return found

    async def taken_off() -> bool:
        await shop.api.patch(ana, child["path"], {"parent_id": None}, "*")
        return (await shop.api.get(mia, child["path"])).json()["parent_id"] is None

    assert (await shop.api.get(ana, parent["path"])).status_code == 404
    assert (await shown(), await taken_off()) == (None, False)
    await shop.settings(creator_keeps_access=True)
    assert (await shop.api.get(ana, parent["path"])).status_code == 200
    assert (await shown(), await taken_off()) == (parent["customer_id"], True)


async def test_a_hidden_parent_is_not_confirmed_by_naming_it(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    parent, other = await create(mia), await create(mia)
    child = await create(mia, parent_id=parent["customer_id"], main_id=str(ana.member_id))
    guesses = [
        await shop.api.patch(ana, child["path"], {"parent_id": one["customer_id"]}, "*")
        for one in (parent, other)
    ]
    assert [answer.status_code for answer in guesses] == [422, 422]
    assert masked(guesses[0].text) == masked(guesses[1].text)
    same = {"parent_id": parent["customer_id"]}
    assert (await shop.api.patch(mia, child["path"], same, "*")).status_code == 200


async def test_what_is_masked_and_sent_back_is_left_as_it_is(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    parent, mine = await create(mia), await create(ana)
    child = await create(mia, parent_id=parent["customer_id"], main_id=str(ana.member_id))

    async def sent(who: Person, parent_id: object) -> object:
        body = {"name": "Branch", "parent_id": parent_id}
        answer = await shop.api.patch(who, child["path"], body, "*")
        assert answer.status_code == 200, answer.text
        return answer.json()["parent_id"]

    shown = (await shop.api.get(ana, child["path"])).json()["parent_id"]
    for guess in (shown, mine["customer_id"]):
        assert await sent(ana, guess) is None
        assert (await shop.api.get(mia, child["path"])).json()["parent_id"] == parent["customer_id"]
    assert (await shop.api.get(mia, child["path"])).json()["name"] == "Branch"
    assert await sent(mia, None) is None
    assert await sent(ana, mine["customer_id"]) == mine["customer_id"]
    assert await sent(ana, None) is None


@pytest.mark.parametrize("length", [1, 2, 3, 12])
async def test_parents_never_form_a_circle(
    shop: ServiceUnderTest, create: Create, length: int
) -> None:
    mia = await shop.member("brand_manager")
    line = [await create(mia)]
    for _ in range(length - 1):
        line.append(await create(mia, parent_id=line[-1]["customer_id"]))
    last = {"parent_id": line[-1]["customer_id"]}
    answer = await shop.api.patch(mia, line[0]["path"], last, "*")
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-parent")
    assert answer.json()["errors"][0]["where"] == "parent_id"


@pytest.mark.parametrize(("circles", "length"), [(8, 2), (3, 4)])
async def test_parents_named_all_at_once_neither_form_a_circle_nor_wait_in_one(
    shop: ServiceUnderTest, create: Create, circles: int, length: int
) -> None:
    mia = await shop.member("brand_manager")
    made = [[await create(mia) for _ in range(length)] for _ in range(circles)]
    changes = [
        shop.api.patch(mia, one["path"], {"parent_id": ring[n - 1]["customer_id"]}, "*")
        for ring in made
        for n, one in enumerate(ring)
    ]
    answers = [answer.status_code for answer in await asyncio.gather(*changes)]
    assert sorted(answers) == [200] * (circles * (length - 1)) + [422] * circles


async def test_a_suspension_ends_by_its_own_verb(shop: ServiceUnderTest, create: Create) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    one = await create(ana)

    async def does(who: Person, verb: str) -> tuple[int, str]:
        answer = await shop.api.post(who, f"{one['path']}/{verb}", headers={"If-Match": "*"})
        body = answer.json()
        return answer.status_code, body.get("status") if answer.is_success else body["code"]

    assert await does(mia, "reinstate") == (409, "customer-state-forbids")
    assert await does(mia, "suspend") == (200, "suspended")
    assert await does(mia, "approve") == (409, "customer-state-forbids")
    assert await does(ana, "reinstate") == (403, "capability-missing")
    assert await does(mia, "reinstate") == (200, "approved")


async def test_custom_members_never_see_terms(shop: ServiceUnderTest, create: Create) -> None:
    mia = await shop.member("brand_manager")
    zoe = await shop.member("custom_member", ticks={"customers": "edit"})
    one = await create(mia, terms={"discount": "0.05", "price_list": "A"})
    assert Decimal(one["terms"]["discount"]) == Decimal("0.05")
    assert (await shop.api.get(zoe, one["path"])).json()["terms"] is None
    assert (await shop.api.get(zoe, "/v1/customers")).json()["items"][0]["terms"] is None
    answer = await shop.api.patch(zoe, one["path"] + "/terms", {"discount": "0.1"}, "*")
    assert (answer.status_code, answer.json()["code"]) == (403, "custom-ceiling")


async def test_a_storefront_names_a_customer_and_cannot_search(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    one = await create(mia, name="Corner shop")
    store = await shop.member(kind="service")
    by_code = await shop.api.get(store, f"/v1/customers/lookup?code={one['code']}")
    assert [item["name"] for item in by_code.json()["items"]] == ["Corner shop"]
    assert (await shop.api.get(store, "/v1/customers/lookup?text=corner")).status_code == 422
    assert (await shop.api.get(store, "/v1/customers/lookup")).status_code == 422
    assert (await shop.api.get(store, one["path"])).status_code == 403
