"""Plans for who is main: nothing of them vanishes, and what is taken soon is taken before the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bailiwick_contracts.customers import AssignmentChanged
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.locks import held_up
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

Create = Callable[..., Awaitable[dict[str, Any]]]
END = "9999-12-31T00:00:00Z"


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def of(member: Person, relation: str = "main", **more: Any) -> dict[str, Any]:
    return {"member_id": str(member.member_id), "relation": relation, **more}


async def timeline(
    shop: ServiceUnderTest, mia: Person, one: dict[str, Any]
) -> list[tuple[str, str, str]]:
    """Return whoever is main, and from when until when, in order."""
    items = (await shop.api.get(mia, one["path"] + "/assignments")).json()["items"]
    rows = [row for row in items if row["relation"] == "main"]
    spans = [(row["valid_from"], row["valid_to"], row["member_id"]) for row in rows]
    return sorted(span for span in spans if span[0] < span[1])


@pytest.mark.parametrize("taken", ["cancelled", "made additional"])
async def test_a_plan_that_is_taken_away_leaves_the_main_as_they_were(
    shop: ServiceUnderTest, create: Create, taken: str
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    one = await create(ana)
    path = one["path"] + "/assignments"
    [before] = await timeline(shop, mia, one)
    planned = await shop.api.post(mia, path, of(bruno, valid_from=in_days(30)))
    assert len(await timeline(shop, mia, one)) == 2
    if taken == "cancelled":
        answer = await shop.api.post(mia, f"{path}/{planned.json()['assignment_id']}/end")
    else:
        answer = await shop.api.post(mia, path, of(bruno, "additional"))
    assert answer.status_code in {200, 201}, answer.text
    assert await timeline(shop, mia, one) == [before]
    sees_it = (await shop.api.get(bruno, one["path"])).status_code
    assert sees_it == (200 if taken == "made additional" else 404)


async def test_a_stand_in_for_a_month_gives_the_customer_back_after_it(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    one = await create(ana)
    [(began, _, who)] = await timeline(shop, mia, one)
    month = {"valid_from": in_days(30), "valid_to": in_days(60)}
    answer = await shop.api.post(mia, one["path"] + "/assignments", of(bruno, **month))
    assert answer.status_code == 201, answer.text
    first, second, third = await timeline(shop, mia, one)
    assert (first[0], first[2]) == (began, who)
    assert first[1] == second[0]
    assert second[2] == str(bruno.member_id)
    assert second[1] == third[0]
    assert third[1:] == (END, who)
    assert await told(shop) == 3  # one changeset, with every row that it touched


async def told(shop: ServiceUnderTest) -> int:
    """Return of how many assignments the last changeset tells."""
    outbox = shop.tables.outbox
    last = sa.select(outbox.c.body).where(outbox.c.type == AssignmentChanged.type)
    async with shop.database.reading(None) as connection:
        body: bytes | None = await connection.scalar(
            last.order_by(outbox.c.position.desc()).limit(1)
        )
    assert body
    return len(AssignmentChanged.model_validate_json(body).assignments)


@pytest.mark.parametrize("begins", [None, 30])
async def test_leaving_a_customer_without_main_takes_an_acknowledgement_of_exactly_that(
    shop: ServiceUnderTest, create: Create, begins: int | None
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    one = await create(ana)
    path = one["path"] + "/assignments"
    chosen = {"valid_from": in_days(begins)} if begins else {}
    asked = of(ana, "additional", **chosen)
    before = await timeline(shop, mia, one)

    async def attempt(*gaps: dict[str, Any]) -> tuple[int, Any]:
        acknowledged = {"acknowledge": {"without_main": gaps}} if gaps else {}
        answer = await shop.api.post(mia, path, {**asked, **acknowledged})
        return answer.status_code, answer.json()

    status, refusal = await attempt()
    assert (status, refusal["code"]) == (409, "leaves-no-main")
    [gap] = refusal["without_main"]
    assert gap["valid_to"] == END
    assert (gap["valid_from"] is None) is (begins is None)
    planned = await shop.api.post(mia, path, of(bruno, valid_from=in_days(90)))
    assert planned.status_code == 201
    for stale in ((gap,), (gap, gap), ({**gap, "valid_from": in_days(1)},)):
        status, refusal = await attempt(*stale)
        assert (status, refusal["code"]) == (409, "leaves-no-main")
    assert refusal["without_main"] == [{**gap, "valid_to": planned.json()["valid_from"]}]
    status, done = await attempt(*refusal["without_main"])
    assert status == 201, done
    (began, ended, _), (_, _, last) = await timeline(shop, mia, one)
    assert (began, last) == (before[0][0], str(bruno.member_id))
    assert ended == done["valid_from"]


async def test_ending_leaves_nobody_without_being_asked(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    one = await create(await shop.member("sales_representative"))
    path = one["path"] + "/assignments"
    [held] = (await shop.api.get(mia, path)).json()["items"]
    assert (await shop.api.post(mia, f"{path}/{held['assignment_id']}/end")).status_code == 200


@pytest.mark.parametrize("table", ["customers", "change_counters"])
@pytest.mark.parametrize("act", ["assign", "assign soon", "end", "approve"])
async def test_what_waited_for_a_lock_takes_effect_after_it_and_is_answered_after_that(
    shop: ServiceUnderTest, create: Create, table: str, act: str
) -> None:
    await shop.settings(rep_customers_need_approval=True)
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    one = await create(ana)
    path = one["path"] + "/assignments"
    [held] = (await shop.api.get(mia, path)).json()["items"]
    soon = (datetime.now(UTC) + timedelta(seconds=1.2)).isoformat()
    path_and_body: tuple[str, Any] = {
        "assign": (path, of(bruno)),
        "assign soon": (path, of(bruno, valid_from=soon)),
        "end": (f"{path}/{held['assignment_id']}/end", None),
        "approve": (one["path"] + "/approve", {"main_id": str(bruno.member_id)}),
    }[act]
    async with held_up(shop, table, one["customer_id"]) as wait:
        answer = await shop.api.post(mia, *path_and_body, headers={"If-Match": "*"})
        answered_at = datetime.now(UTC)
    assert answer.status_code in {200, 201}, answer.text
    assert (await shop.api.get(ana, one["path"])).status_code == 404
    rows = (await shop.api.get(mia, path)).json()["items"]
    [ended] = [row for row in rows if row["assignment_id"] == held["assignment_id"]]
    assert wait.released_at is not None
    assert wait.released_at < datetime.fromisoformat(ended["valid_to"]) <= answered_at


async def test_what_takes_something_in_a_moment_is_answered_after_that_moment(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    one = await create(ana)
    moment = datetime.now(UTC) + timedelta(seconds=0.3)
    body = of(bruno, valid_from=moment.isoformat())
    answer = await shop.api.post(mia, one["path"] + "/assignments", body)
    assert answer.status_code == 201, answer.text
    assert datetime.fromisoformat(answer.json()["valid_from"]) <= datetime.now(UTC)
    assert (await shop.api.get(ana, one["path"])).status_code == 404
    assert (await shop.api.get(bruno, one["path"])).status_code == 200
