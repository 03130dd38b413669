"""Importing again: what rows say now is taken over where people have changed nothing since."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from bailiwick_customers.store import tables
from bailiwick_testkit.services.import_lines import Open, assignment, customer, imported
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

SINCE = datetime(2020, 1, 1, tzinfo=UTC)


async def test_what_people_changed_since_is_not_undone_by_a_second_run(
    shop: ServiceUnderTest, opening: Open
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    lines = [customer("A"), assignment("A", ana)]
    async with opening(mia) as work:
        customer_id = (await imported(work, *lines))[0]["customer_id"]
        body = {"member_id": str(bruno.member_id), "relation": "main"}
        path = f"/v1/customers/{customer_id}/assignments"
        assert (await shop.api.post(mia, path, body)).status_code == 201
        again = await imported(work, *lines)

    assert [one["outcome"] for one in again] == ["unchanged"] * 2
    shown = (await shop.api.get(mia, f"/v1/customers/{customer_id}")).json()
    assert shown["main_id"] == str(bruno.member_id)


@pytest.mark.parametrize(("changed", "is_kept"), [(True, True), (True, False), (False, False)])
async def test_no_row_overwrites_a_customer_that_people_have_changed_since(
    shop: ServiceUnderTest, opening: Open, changed: bool, is_kept: bool
) -> None:
    mia = await shop.member("brand_manager")
    async with opening(mia) as work:
        [first] = await imported(work, customer("A", status="approved"))
    path = f"/v1/customers/{first['customer_id']}"
    if changed:
        done = await shop.api.patch(mia, path, {"name": "Shop of Ana"}, '"v1"')
        assert done.status_code == 200, done.text
    if not is_kept:
        async with shop.database.writing(shop.org_id) as connection:
            await connection.execute(tables.imported_rows.update().values(version=None))
    row = customer("A", name="Corrected", status="approved", tags=["new"])
    for again in ("different", "different") if changed else ("updated", "unchanged"):
        async with opening(mia, update=True) as work:
            [outcome] = await imported(work, row)
        assert outcome["outcome"] == again
    shown = (await shop.api.get(mia, path)).json()
    assert shown["name"] == ("Shop of Ana" if changed else "Corrected")
    assert shown["tags"] == ([] if changed else ["new"])
    async with opening(mia, update=True) as work:
        [outcome] = await imported(work, {**row, "name": "Corrected again"})
    assert outcome["outcome"] == ("different" if changed else "updated")


@pytest.mark.parametrize("was", ["2022-01-01T00:00:00Z", "2024-01-01T00:00:00Z", None])
@pytest.mark.parametrize("becomes", ["2023-01-01T00:00:00Z", None])
async def test_an_assignment_gets_the_end_that_its_row_has_now(
    shop: ServiceUnderTest, opening: Open, was: str | None, becomes: str | None
) -> None:
    mia = await shop.member("brand_manager")
    begun = assignment("A", mia, valid_from="2020-01-01T00:00:00Z")
    async with opening(mia) as work:
        await imported(work, customer("A"), {**begun, "valid_to": was})
        [without] = await imported(work, {**begun, "valid_to": becomes})
    async with opening(mia, update=True) as work:
        [taken] = await imported(work, {**begun, "valid_to": becomes})
        [again] = await imported(work, {**begun, "valid_to": becomes})

    same = was == becomes
    assert without["outcome"] == ("unchanged" if same else "different")
    assert taken["outcome"] == ("unchanged" if same else "updated")
    assert again["outcome"] == "unchanged"
    [found] = (await shop.api.get(mia, "/v1/customers")).json()["items"]
    path = f"/v1/customers/{found['customer_id']}/assignments"
    held = (await shop.api.get(mia, path)).json()["items"]
    assert min(one["valid_from"] for one in held) == "2020-01-01T00:00:00Z"
    assert max(one["valid_to"] for one in held) == (becomes or "9999-12-31T00:00:00Z")
    assert found["main_id"] == (None if becomes else str(mia.member_id))


async def test_a_file_read_again_gives_back_nothing_that_was_taken_since(
    shop: ServiceUnderTest, opening: Open
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative", valid_from=SINCE)
    bruno = await shop.member("sales_representative", valid_from=SINCE)
    file = [
        customer("A"),
        assignment("A", ana, valid_from="2023-01-01T00:00:00Z"),
        assignment("A", bruno, valid_from="2024-01-01T00:00:00Z"),
    ]
    async with opening(mia) as work:
        first = await imported(work, *file)
    path = f"/v1/customers/{first[0]['customer_id']}"
    await asyncio.sleep(1.1)  # what takes something soon holds in a second (D18)
    ended = await shop.api.post(mia, f"{path}/assignments/{first[2]['assignment_id']}/end")
    assert ended.status_code == 200, ended.text
    for update in (False, True):
        async with opening(mia, update=update) as work:
            again = await imported(work, *file)
        assert {one["outcome"] for one in again} == {"unchanged"}
    await asyncio.sleep(1.1)
    assert (await shop.api.get(bruno, path)).status_code == 404


@pytest.mark.parametrize("taken", ["end", "reassign"])
@pytest.mark.parametrize("relation", ["main", "additional"])
async def test_an_earlier_end_in_a_file_gives_back_nothing(
    shop: ServiceUnderTest, opening: Open, relation: str, taken: str
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative", valid_from=SINCE)
    bruno = await shop.member("sales_representative", valid_from=SINCE)
    row = assignment("A", ana, relation, valid_from="2023-01-01T00:00:00Z")
    async with opening(mia) as work:
        first = await imported(work, customer("A"), row)
    path = f"/v1/customers/{first[0]['customer_id']}"
    acts = {
        "end": (f"{path}/assignments/{first[1]['assignment_id']}/end", None),
        "reassign": (
            f"{path}/assignments",
            {"member_id": str(bruno.member_id), "relation": "main"},
        ),
    }
    done = await shop.api.post(mia, *acts[taken])
    assert done.status_code in {200, 201}, done.text
    stays = relation == "additional" and taken == "reassign"
    async with opening(mia, update=True) as work:
        [outcome] = await imported(work, {**row, "valid_to": "2030-01-01T00:00:00Z"})
    assert outcome["outcome"] == ("updated" if stays else "different")
    await asyncio.sleep(1.1)
    assert (await shop.api.get(ana, path)).status_code == (200 if stays else 404)


async def test_a_row_neither_prolongs_nor_changes_what_people_gave_to_somebody(
    shop: ServiceUnderTest, opening: Open
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative", valid_from=SINCE)
    bruno = await shop.member("sales_representative", valid_from=SINCE)
    row = assignment("A", ana, valid_from="2023-01-01T00:00:00Z", valid_to="2024-01-01T00:00:00Z")
    async with opening(mia) as work:
        first = await imported(work, customer("A"), row)
    path = f"/v1/customers/{first[0]['customer_id']}"
    given = {"member_id": str(bruno.member_id), "relation": "main"}
    assert (await shop.api.post(mia, f"{path}/assignments", given)).status_code == 201
    corrected = [
        {**row, "valid_to": None},
        {**row, "valid_from": "2023-06-01T00:00:00Z", "valid_to": None},
    ]
    for line in corrected:
        async with opening(mia, update=True) as work:
            [outcome] = await imported(work, line)
        assert outcome["outcome"] == "different"
    await asyncio.sleep(1.1)
    assert (await shop.api.get(mia, path)).json()["main_id"] == str(bruno.member_id)
    assert (await shop.api.get(ana, path)).status_code == 404


@pytest.mark.parametrize(
    ("begins", "ends", "done"),
    [
        ("2022-01-01T00:00:00Z", None, "nothing"),
        ("2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "nothing"),
        ("2024-01-01T00:00:00Z", None, "end"),
    ],
)
async def test_a_corrected_beginning_corrects_the_assignment_that_its_row_made(
    shop: ServiceUnderTest, opening: Open, begins: str, ends: str | None, done: str
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative", valid_from=SINCE)
    wrong = assignment("A", ana, valid_from="2023-01-01T00:00:00Z")
    right = {**wrong, "valid_from": begins, "valid_to": ends}
    async with opening(mia) as work:
        first = await imported(work, customer("A"), wrong)
    path = f"/v1/customers/{first[0]['customer_id']}/assignments"
    if done == "end":
        ended = await shop.api.post(mia, f"{path}/{first[1]['assignment_id']}/end")
        assert ended.status_code == 200, ended.text

    async def outcomes(*lines: dict[str, Any]) -> list[str]:
        got = []
        for line in lines:
            async with opening(mia, update=True) as work:
                got += [one["outcome"] for one in await imported(work, line)]
        return got

    async def held() -> list[tuple[str, str]]:
        items = (await shop.api.get(mia, path)).json()["items"]
        times = [(one["valid_from"], one["valid_to"]) for one in items]
        return [one for one in times if one[0] < one[1]]

    async with opening(mia) as work:
        [without] = await imported(work, right)
    assert without["outcome"] == "different"
    before = await held()
    end = ends or "9999-12-31T00:00:00Z"
    if done == "end":
        assert await outcomes(right) == ["different"]
        assert await held() == before
        return
    assert await outcomes(right, right) == ["updated", "unchanged"]
    assert await held() == [(begins, end)]
    # … and back again, with another end
    back = {**wrong, "valid_to": "2024-06-01T00:00:00Z"}
    assert await outcomes(back, back) == ["updated", "unchanged"]
    assert await held() == [(back["valid_from"], back["valid_to"])]
    assert await outcomes({**back, "valid_to": None}) == ["updated"]
    assert await held() == [(wrong["valid_from"], "9999-12-31T00:00:00Z")]


async def test_what_rows_of_a_file_did_to_each_other_is_no_change_by_people(
    shop: ServiceUnderTest, opening: Open
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative", valid_from=SINCE)
    bruno = await shop.member("sales_representative", valid_from=SINCE)
    first = assignment("A", ana, valid_from="2022-01-01T00:00:00Z")
    second = assignment("A", bruno, valid_from="2023-01-01T00:00:00Z")
    async with opening(mia) as work:
        await imported(work, customer("A"), first)
        await imported(work, second)
    async with opening(mia, update=True) as work:
        [outcome] = await imported(work, {**first, "valid_to": "2022-06-01T00:00:00Z"})
    assert outcome["outcome"] == "updated"


async def test_who_was_suspended_here_stays_suspended_whatever_a_row_says_later(
    shop: ServiceUnderTest, opening: Open
) -> None:
    mia = await shop.member("brand_manager")
    row = customer("A", status="approved")
    async with opening(mia) as work:
        [first] = await imported(work, row)
    path = f"/v1/customers/{first['customer_id']}"
    done = await shop.api.post(mia, f"{path}/suspend", headers={"If-Match": "*"})
    assert done.status_code == 200, done.text
    async with opening(mia, update=True) as work:
        [outcome] = await imported(work, {**row, "name": "Corrected"})
    now = (await shop.api.get(mia, path)).json()
    assert (outcome["outcome"], now["status"]) == ("different", "suspended")
