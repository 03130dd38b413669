"""Assigning: one main at any instant, planned or now, and who may be one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from bailiwick_customers.domain.assignment import Changeset
from bailiwick_customers.store.unit_of_work import OpenUnit
from bailiwick_kit.database.engine import Database
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.service_under_test import ServiceUnderTest
from bailiwick_testkit.waiting import until

Create = Callable[..., Awaitable[dict[str, Any]]]
WAITING = sa.text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def of(member: Person, relation: str = "main", **more: Any) -> dict[str, Any]:
    return {"member_id": str(member.member_id), "relation": relation, **more}


async def history(
    shop: ServiceUnderTest, who: Person, customer: dict[str, Any]
) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (
        await shop.api.get(who, customer["path"] + "/assignments")
    ).json()["items"]
    return items


async def test_a_first_representative_holds_at_once(shop: ServiceUnderTest, create: Create) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    one = await create(mia)
    began = datetime.now(UTC)
    assert (await shop.api.post(mia, one["path"] + "/assignments", of(ana))).status_code == 201
    assert datetime.now(UTC) - began < timedelta(seconds=1)
    assert (await shop.api.get(ana, one["path"])).json()["main_id"] == str(ana.member_id)


async def test_reassigning_leaves_no_instant_with_two_mains_or_none(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    one = await create(ana)
    await shop.api.post(mia, one["path"] + "/assignments", of(bruno))
    new, old = await history(shop, mia, one)
    assert (new["member_id"], old["member_id"]) == (str(bruno.member_id), str(ana.member_id))
    assert new["valid_from"] == old["valid_to"]


async def test_two_managers_at_once_make_one_main(shop: ServiceUnderTest, create: Create) -> None:
    mia = await shop.member("brand_manager")
    sam = await shop.member("sales_manager")
    reps = [await shop.member("sales_representative") for _ in range(4)]
    one = await create(mia)
    answers = await asyncio.gather(
        *(
            shop.api.post(who, one["path"] + "/assignments", of(rep))
            for who, rep in zip((mia, sam, mia, sam), reps, strict=True)
        )
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    now = datetime.now(UTC)
    mains = [
        row
        for row in await history(shop, mia, one)
        if datetime.fromisoformat(row["valid_from"])
        <= now
        < datetime.fromisoformat(row["valid_to"])
    ]
    assert len(mains) == 1


async def test_a_planned_main_cannot_be_overrun(shop: ServiceUnderTest, create: Create) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    one = await create(mia)
    path = one["path"] + "/assignments"
    later = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    planned = await shop.api.post(mia, path, of(bruno, valid_from=later))
    assert planned.status_code == 201, planned.text
    assert (await shop.api.get(bruno, one["path"])).status_code == 404
    clash = await shop.api.post(mia, path, of(ana))
    assert (clash.status_code, clash.json()["code"]) == (409, "main-overlap")
    until = await shop.api.post(mia, path, of(ana, valid_to=later))
    assert until.status_code == 201, until.text


async def test_a_cancelled_plan_stands_in_nobodys_way(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    one = await create(mia)
    path = one["path"] + "/assignments"
    later = datetime.now(UTC) + timedelta(days=30)
    planned = await shop.api.post(mia, path, of(bruno, valid_from=later.isoformat()))
    end = f"{path}/{planned.json()['assignment_id']}/end"
    assert (await shop.api.post(mia, end)).status_code == 200
    again = await shop.api.post(mia, end)
    assert (again.status_code, again.json()["code"]) == (409, "assignment-already-ended")
    assert (await shop.api.post(mia, path, of(ana))).status_code == 201
    assert (await shop.api.get(ana, one["path"])).status_code == 200


async def test_who_waited_for_the_customer_is_judged_by_what_held_then(
    shop: ServiceUnderTest, create: Create
) -> None:
    ana = await shop.member("sales_representative")
    customer_id = UUID((await create(ana))["customer_id"])
    open_unit = OpenUnit(shop.database)

    async def is_main() -> object:
        async with open_unit(shop.org_id) as unit:
            await unit.customers.lock(customer_id)
            found = await unit.customers.one(customer_id, ana.member_id, await unit.turn())
            return found and found.facts["main"]

    async with (
        Database(shop.urls.worker, pool=1) as database,
        database.reading(None) as connection,
        asyncio.TaskGroup() as tasks,
    ):

        async def somebody_waits() -> bool:
            return bool(await connection.scalar(WAITING))

        async with open_unit(shop.org_id) as unit:
            await unit.customers.lock(customer_id)
            [held] = await unit.assignments.of(customer_id)
            waiting = tasks.create_task(is_main())
            await until(somebody_waits)
            now = await unit.turn()
            ended = replace(held, valid_to=now, version=2)
            await unit.assignments.write(Changeset(uuid4(), now, (ended,)))
    assert waiting.result() is False


async def test_who_may_not_have_customers_is_not_assigned_any(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    one = await create(mia)
    others = [
        await shop.member("sales_assistant"),
        await shop.member("custom_member"),
        await shop.member("sales_representative", status="inactive"),
        await shop.member(kind="service"),
        shop.identity.person(shop.org_id, "sales_representative"),  # not told yet
    ]
    for other in others:
        answer = await shop.api.post(mia, one["path"] + "/assignments", of(other))
        assert (answer.status_code, answer.json()["code"]) == (422, "may-not-hold-portfolio")
    rep = await shop.member("sales_representative", name="Ana")
    listed = (await shop.api.get(mia, "/v1/representatives")).json()["items"]
    assert {item["member_id"] for item in listed} >= {str(rep.member_id), str(mia.member_id)}
    for name in ("Zack", "Álvaro", "alex"):
        await shop.member("sales_representative", name=name)
    listed = (await shop.api.get(mia, "/v1/representatives")).json()["items"]
    names = [item["name"] for item in listed]
    at = [names.index(name) for name in ("alex", "Álvaro", "Ana", "Zack")]
    assert at == sorted(at), "by name, whatever its case and accents"
    assert not {item["member_id"] for item in listed} & {str(o.member_id) for o in others[:4]}


async def test_a_member_is_planned_for_days_within_their_membership_only(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    begins, ends = (datetime.now(UTC) + timedelta(days=days) for days in (30, 90))
    nina = await shop.member("sales_representative", valid_from=begins, valid_until=ends)
    path = (await create(mia))["path"] + "/assignments"
    moment = timedelta(microseconds=1)
    for day in (None, begins - moment, ends, ends + timedelta(days=1)):
        chosen = {"valid_from": day.isoformat()} if day else {}
        answer = await shop.api.post(mia, path, of(nina, **chosen))
        assert (answer.status_code, answer.json()["code"]) == (422, "may-not-hold-portfolio"), day
    for relation, day in (("additional", ends - moment), ("main", begins)):
        answer = await shop.api.post(mia, path, of(nina, relation, valid_from=day.isoformat()))
        assert answer.status_code == 201, answer.text


async def test_only_who_assigns_assigns(shop: ServiceUnderTest, create: Create) -> None:
    ana = await shop.member("sales_representative")
    admin = await shop.member("sales_administrator")
    one = await create(ana)
    for who in (ana, admin):
        answer = await shop.api.post(who, one["path"] + "/assignments", of(ana))
        assert (answer.status_code, answer.json()["code"]) == (403, "capability-missing")
    for main in (ana, admin):
        named = await shop.api.post(
            admin, "/v1/customers", {"name": "X", "main_id": str(main.member_id)}
        )
        assert (named.status_code, named.json()["code"]) == (403, "capability-missing")
    assert (await create(ana, main_id=str(ana.member_id)))["main_id"] == str(ana.member_id)


async def test_ending_an_assignment_leaves_nobody(shop: ServiceUnderTest, create: Create) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    one = await create(ana)
    [held] = await history(shop, mia, one)
    path = f"{one['path']}/assignments/{held['assignment_id']}/end"
    assert (await shop.api.post(mia, path)).status_code == 200
    assert (await shop.api.get(ana, one["path"])).status_code == 404
    assert (await shop.api.get(mia, "/v1/customers/count?unassigned=true")).json() == {"count": 1}
    again = await shop.api.post(mia, path)
    assert (again.status_code, again.json()["code"]) == (409, "assignment-already-ended")


async def test_one_representative_a_customer_where_the_organization_wants_it(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    one = await create(mia)
    await shop.settings(assignment_model="single")
    answer = await shop.api.post(mia, one["path"] + "/assignments", of(ana, "additional"))
    assert (answer.status_code, answer.json()["code"]) == (409, "assignment-model-single")


async def test_a_representatives_customer_waits_for_approval_where_that_is_wanted(
    shop: ServiceUnderTest, create: Create
) -> None:
    await shop.settings(rep_customers_need_approval=True)
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    mine = await create(ana)
    assert mine["status"] == "pending"
    assert (await create(mia))["status"] == "approved"
    headers = {"If-Match": '"v1"'}
    body = {"main_id": str(bruno.member_id)}
    approved = await shop.api.post(mia, mine["path"] + "/approve", body, headers=headers)
    assert approved.status_code == 200, approved.text
    assert approved.json()["status"] == "approved"
    assert approved.json()["main_id"] == str(bruno.member_id)
    assert (await shop.api.get(ana, mine["path"])).status_code == 404


async def test_a_creator_keeps_sight_only_where_the_organization_wants_it(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    one = await create(ana)
    await shop.api.post(mia, one["path"] + "/assignments", of(bruno))
    assert (await shop.api.get(ana, one["path"])).status_code == 404
    await shop.settings(creator_keeps_access=True)
    assert (await shop.api.get(ana, one["path"])).status_code == 200
    edited = await shop.api.patch(ana, one["path"], {"tags": ["x"]}, "*")
    assert (edited.status_code, edited.json()["code"]) == (403, "assignment-ended")


@pytest.mark.parametrize(
    ("taken", "status", "code"),
    [
        ({"role": "sales_manager", "status": "inactive"}, 403, "account-inactive"),
        ({"role": "sales_assistant"}, 403, "capability-missing"),
    ],
    ids=["left", "reduced"],
)
async def test_who_loses_their_rights_while_waiting_for_a_customer_assigns_it_no_more(
    shop: ServiceUnderTest, create: Create, taken: dict[str, Any], status: int, code: str
) -> None:
    omar, ana = await shop.member("sales_manager"), await shop.member("sales_representative")
    one = await create(omar)
    api = Database(shop.urls.api, pool=2)
    async with api.writing(shop.org_id) as connection:
        table = shop.tables.customers
        locked = sa.select(table).where(table.c.customer_id == UUID(one["customer_id"]))
        await connection.execute(locked.with_for_update())
        acting = asyncio.create_task(shop.api.post(omar, one["path"] + "/assignments", of(ana)))

        async def waits() -> bool:
            async with api.reading(None) as watching:
                return bool((await watching.execute(WAITING)).scalar_one())

        await until(waits)
        await shop.member(member_id=omar.member_id, **taken)
    await api.close()
    answer = await acting

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    mia = await shop.member("brand_manager")
    assert await history(shop, mia, one) == []
