"""A hidden customer is told from a random id by nothing: not by the answer, the work, or a lock (S2)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from bailiwick_kit.database.engine import Database
from bailiwick_testkit.checks.work import work_done
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

Create = Callable[..., Awaitable[dict[str, Any]]]
CUSTOMERS = "/v1/customers"
CONTACTS = [{"name": f"Contact {n}", "email": f"c{n}@sol.example"} for n in range(20)]


async def send(
    shop: ServiceUnderTest, who: Person, operation: str, customer_id: object
) -> httpx2.Response:
    path, headers = f"{CUSTOMERS}/{customer_id}", {"If-Match": "*"}
    bodies: dict[str, tuple[str, str, Any]] = {
        "read": ("GET", path, None),
        "assignments": ("GET", f"{path}/assignments", None),
        "edit": ("PATCH", path, {"name": "x"}),
        "terms": ("PATCH", f"{path}/terms", {"discount": "0.5"}),
        "parent": ("POST", CUSTOMERS, {"name": "y", "parent_id": str(customer_id)}),
        "assign": (
            "POST",
            f"{path}/assignments",
            {"member_id": str(who.member_id), "relation": "main"},
        ),
    }
    method, address, body = bodies.get(operation, ("POST", f"{path}/{operation}", None))
    sent = {} if body is None else {"json": body}
    return await shop.api.send(who, method, address, headers=headers, **sent)


def told(answer: httpx2.Response) -> tuple[int, Any, list[str]]:
    body = {**answer.json(), "trace_id": ""}
    return answer.status_code, body, sorted(answer.headers)


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ("read", 404),
        ("edit", 404),
        ("terms", 404),
        ("parent", 422),
        ("assignments", 403),
        ("assign", 403),
        ("approve", 403),
        ("suspend", 403),
    ],
)
async def test_a_hidden_customer_takes_the_work_of_none(
    shop: ServiceUnderTest, create: Create, operation: str, status: int
) -> None:
    mia, bruno = await shop.member("brand_manager"), await shop.member("sales_representative")
    hidden = (await create(mia, contacts=CONTACTS))["customer_id"]
    answers, works = [], []
    for customer_id in (hidden, uuid4()):
        with work_done() as work:
            answers.append(told(await send(shop, bruno, operation, customer_id)))
        works.append(work)
    assert answers[0] == answers[1]
    assert answers[0][0] == status
    assert works[0] == works[1]
    assert any(one.startswith("policy bailiwick/customers") for one in works[0])


@pytest.mark.parametrize("operation", ["edit", "terms", "parent"])
async def test_nobody_waits_for_the_lock_of_what_is_hidden(
    shop: ServiceUnderTest, create: Create, operation: str
) -> None:
    mia, bruno = await shop.member("brand_manager"), await shop.member("sales_representative")
    hidden = (await create(mia))["customer_id"]
    async with (
        Database(shop.urls.worker) as database,
        database.writing(shop.org_id) as holding,
    ):
        await holding.exec_driver_sql("SELECT 1 FROM customers FOR UPDATE")
        answer = await asyncio.wait_for(send(shop, bruno, operation, hidden), 8)
    assert answer.status_code in {404, 422}


@pytest.mark.parametrize("operation", ["read", "edit", "terms"])
async def test_an_id_that_is_none_is_404_to_who_may_and_403_to_who_may_not(
    shop: ServiceUnderTest, operation: str
) -> None:
    bruno, tom = [await shop.member(role) for role in ("sales_representative", "sales_assistant")]
    for who, answer in ((bruno, (404, "not-found")), (tom, (403, "capability-missing"))):
        for customer_id in ("nonsense", uuid4()):
            found = await send(shop, who, operation, customer_id)
            assert (found.status_code, found.json()["code"]) == answer
