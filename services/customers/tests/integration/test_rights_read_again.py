"""An act is decided by what holds when its turn comes: rights, settings, who is whose representative."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import httpx2
import pytest

from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.locks import held_up
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

Create: TypeAlias = Callable[..., Awaitable[dict[str, Any]]]
Act: TypeAlias = Callable[[ServiceUnderTest, Person, str], Awaitable[httpx2.Response]]
PATH = "/v1/customers"


async def edit(shop: ServiceUnderTest, who: Person, path: str) -> httpx2.Response:
    return await shop.api.patch(who, path, {"name": "Late"}, "*")


async def suspend(shop: ServiceUnderTest, who: Person, path: str) -> httpx2.Response:
    return await shop.api.post(who, f"{path}/suspend", headers={"If-Match": "*"})


async def assign(shop: ServiceUnderTest, who: Person, path: str) -> httpx2.Response:
    body = {"member_id": str(who.member_id), "relation": "main"}
    return await shop.api.post(who, f"{path}/assignments", body)


async def create_another(shop: ServiceUnderTest, who: Person, _: str) -> httpx2.Response:
    return await shop.api.post(who, PATH, {"name": "Late"})


ACTS: dict[str, Act] = {"edit": edit, "suspend": suspend, "assign": assign}


async def waited(
    shop: ServiceUnderTest,
    table: str,
    path: str,
    act: Awaitable[httpx2.Response],
    taken: Awaitable[object],
) -> httpx2.Response:
    """Let an act wait for a row, take something meanwhile, and return its answer."""
    async with held_up(shop, table, path.rpartition("/")[2]) as wait:
        waiting = asyncio.ensure_future(act)
        await wait.awaited.wait()
        await taken
        return await waiting


@pytest.mark.parametrize("table", ["customers", "change_counters"])
@pytest.mark.parametrize("act", ACTS)
async def test_who_lost_their_rights_while_they_waited_does_nothing(
    shop: ServiceUnderTest, create: Create, act: str, table: str
) -> None:
    mia = await shop.member("brand_manager")
    omar = await shop.member("sales_manager")
    path = (await create(mia))["path"]
    before = (await shop.api.get(mia, path)).json()
    left = shop.member("sales_manager", member_id=omar.member_id, status="inactive")
    answer = await waited(shop, table, path, ACTS[act](shop, omar, path), left)
    assert (answer.status_code, answer.json()["code"]) == (403, "account-inactive")
    assert (await shop.api.get(mia, path)).json() == before


async def test_who_left_while_they_waited_creates_no_customer(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    path = (await create(mia))["path"]
    left = shop.member("sales_representative", member_id=ana.member_id, status="inactive")
    answer = await waited(shop, "change_counters", path, create_another(shop, ana, path), left)
    assert (answer.status_code, answer.json()["code"]) == (403, "account-inactive")
    assert (await shop.api.get(mia, f"{PATH}/count")).json() == {"count": 1}


async def test_who_left_meanwhile_is_made_nobodys_representative(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    path = (await create(mia))["path"]
    body = {"member_id": str(ana.member_id), "relation": "main"}
    left = shop.member("sales_representative", member_id=ana.member_id, status="inactive")
    act = shop.api.post(mia, f"{path}/assignments", body)
    answer = await waited(shop, "change_counters", path, act, left)
    assert answer.status_code == 422, answer.text
    assert "member_id" in str(answer.json()["errors"])


@pytest.mark.parametrize("table", ["customers", "change_counters"])
async def test_a_setting_that_was_taken_while_somebody_waited_gives_them_nothing(
    shop: ServiceUnderTest, create: Create, table: str
) -> None:
    await shop.settings(additional_full_rights=True)
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    path = (await create(mia))["path"]
    body = {"member_id": str(ana.member_id), "relation": "additional"}
    assert (await shop.api.post(mia, f"{path}/assignments", body)).status_code == 201
    taken = shop.settings(additional_full_rights=False)
    answer = await waited(shop, table, path, edit(shop, ana, path), taken)
    assert (answer.status_code, answer.json()["reasons"]) == (403, ["additional-may-not-edit"])


async def test_an_approval_shows_the_main_that_it_made(
    shop: ServiceUnderTest, create: Create
) -> None:
    await shop.settings(rep_customers_need_approval=True)
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    path = (await create(ana))["path"]
    [held] = (await shop.api.get(mia, f"{path}/assignments")).json()["items"]
    ended = await shop.api.post(mia, f"{path}/assignments/{held['assignment_id']}/end")
    assert ended.status_code == 200, ended.text
    body, headers = {"main_id": str(bruno.member_id)}, {"If-Match": "*"}
    answer = await shop.api.post(mia, f"{path}/approve", body, headers=headers)
    read = await shop.api.get(mia, path)
    assert (answer.status_code, answer.json()) == (200, read.json()), answer.text
    assert answer.headers["etag"] == read.headers["etag"]
