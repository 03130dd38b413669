"""A customer has a size: the largest is taken and listed, a larger one refused wherever it comes in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa

from bailiwick_customers.domain.customer import MOST_BYTES
from bailiwick_customers.store import tables
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

Create = Callable[..., Awaitable[dict[str, Any]]]
TAGS = [f"{n:02}" + "Ω" * 58 for n in range(50)]
REST = MOST_BYTES - 16_298


def contacts(last: int) -> list[dict[str, str]]:
    """Return contacts with which and `TAGS` "Librería Sol" is of the largest size, if the last is REST."""
    return [{"name": "Ω" * 200}] * 22 + [{"name": "Ω" * 100 + "x" * last}]


async def test_the_largest_customer_is_taken_and_one_byte_more_refused_by_every_act(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    largest = await create(mia, tags=TAGS, contacts=contacts(REST))
    sent = {"name": "Librería Sol", "tags": TAGS, "contacts": contacts(REST + 1)}
    for answer in (
        await shop.api.post(mia, "/v1/customers", sent),
        await shop.api.patch(mia, largest["path"], {"name": "Librería Sol!"}, '"v1"'),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "customer-too-large")
        assert "16385 bytes" in answer.json()["errors"][0]["message"]
    terms = {"price_list": "Ω" * 60}
    answer = await shop.api.patch(mia, largest["path"] + "/terms", terms, '"v1"')
    assert answer.status_code == 200
    listed = await shop.api.get(mia, "/v1/customers")
    assert [one["customer_id"] for one in listed.json()["items"]] == [largest["customer_id"]]


async def test_a_customer_that_is_stored_larger_is_read_and_edited_downwards(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    one = await create(mia)
    stored = [{"name": "Ω" * 200, "email": None, "phone": None, "title": None}] * 100
    async with shop.database.writing(shop.org_id) as connection:
        await connection.execute(sa.update(tables.customers).values(contacts=stored))
    assert (await shop.api.get(mia, one["path"])).status_code == 200
    for version, sent, status in (
        (1, {"name": "Librería Sol y Luna"}, 422),
        (1, {"name": "Sol"}, 200),
        (2, {"contacts": [{"name": "Ω" * 200}] * 50}, 200),
        (3, {"contacts": []}, 200),
    ):
        answer = await shop.api.patch(mia, one["path"], sent, f'"v{version}"')
        assert answer.status_code == status, answer.text
