"""What was committed is answered as done, whatever fails from then on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from bailiwick_customers.store import tables
from bailiwick_testkit.checks.committing import nothing_answers_after_commits
from bailiwick_testkit.servers.real import Postgres, Servers
from bailiwick_testkit.services.service_under_test import ServiceUnderTest, open_shop
from bailiwick_testkit.waiting import until

Create = Callable[..., Awaitable[dict[str, Any]]]
CUSTOMERS = "/v1/customers"
MATCH_ANY = {"If-Match": "*"}
WHOLE = {
    "name": "Librería Sol",
    "contacts": [{"name": "Eva", "email": "Eva@Sol.example"}],
    "addresses": [{"country": "es", "city": "Madrid"}],
    "terms": {"discount": "0.10"},
}


@pytest.mark.parametrize("act", ["create", "edit", "terms", "suspend", "reinstate", "approve"])
async def test_what_was_committed_is_answered_as_it_is_read(
    shop: ServiceUnderTest, create: Create, act: str
) -> None:
    mia, ana = await shop.member("brand_manager"), await shop.member("sales_representative")
    await shop.settings(rep_customers_need_approval=act == "approve")
    path = (await create(ana, **WHOLE))["path"]
    if act == "reinstate":
        await shop.api.post(mia, f"{path}/suspend", headers=MATCH_ANY)
    with nothing_answers_after_commits():
        match act:
            case "create":
                done = await shop.api.post(mia, CUSTOMERS, {**WHOLE, "main_id": str(ana.member_id)})
                path = done.headers["location"]
            case "edit":
                done = await shop.api.patch(mia, path, {"tags": ["a"], "tax_id": "B1"}, "*")
            case "terms":
                done = await shop.api.patch(mia, f"{path}/terms", {"discount": "0.5"}, "*")
            case "suspend" | "reinstate":
                done = await shop.api.post(mia, f"{path}/{act}", headers=MATCH_ANY)
            case _:  # in place of Ana: it holds a second later, and is answered then
                body = {"main_id": str(mia.member_id)}
                done = await shop.api.post(mia, f"{path}/approve", body, headers=MATCH_ANY)
    assert done.status_code == (201 if act == "create" else 200), done.text
    read = await shop.api.get(mia, path)
    assert (done.content, done.headers["etag"]) == (read.content, read.headers["etag"])
    body = read.json()
    position = f"customers:{body['customer_id']}:{body['version']}:"
    assert done.headers["bailiwick-position"].startswith(position)


async def test_an_assignment_begun_and_ended_is_answered(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia, ana = await shop.member("brand_manager"), await shop.member("sales_representative")
    path = (await create(ana))["path"] + "/assignments"
    with nothing_answers_after_commits():
        body = {"member_id": str(mia.member_id), "relation": "additional"}
        begun = await shop.api.post(mia, path, body)
    assert begun.status_code == 201, begun.text
    with nothing_answers_after_commits():
        ended = await shop.api.post(mia, f"{path}/{begun.json()['assignment_id']}/end")
    assert ended.status_code == 200, ended.text
    assert ended.json() in (await shop.api.get(mia, path)).json()["items"]
    assert begun.headers["bailiwick-position"] < ended.headers["bailiwick-position"]


async def test_a_policy_that_freezes_before_the_answer_takes_nothing_back(
    servers: Servers, postgres: Postgres
) -> None:
    """With servers of its own: approving in place of a representative waits a second to be answered."""
    with servers.private() as own:
        opa = own.opa()
        async with open_shop("customers", postgres, opa.url) as shop:
            mia, ana = await shop.member("brand_manager"), await shop.member("sales_representative")
            await shop.settings(rep_customers_need_approval=True)
            path = (await shop.api.post(ana, CUSTOMERS, WHOLE)).headers["location"]
            body = {"main_id": str(mia.member_id)}
            asking = shop.api.post(mia, f"{path}/approve", body, headers=MATCH_ANY)
            answer = asyncio.create_task(asking)

            async def is_approved() -> bool:
                async with shop.database.reading(shop.org_id) as connection:
                    found = await connection.execute(sa.select(tables.customers.c.status))
                    return bool(found.scalar_one() == "approved")

            try:
                await until(is_approved)
                opa.pause()
                done = await answer
            finally:
                opa.resume()
            assert done.status_code == 200, done.text
            assert done.json()["main_id"] == str(mia.member_id)
