"""Lists of customers: pages, filters and counts agree, for everybody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from bailiwick_access.listing import MOST_BYTES
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.servers.real import Postgres
from bailiwick_testkit.services.large_company import superuser_dsn
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

Create = Callable[..., Awaitable[dict[str, Any]]]


async def names(shop: ServiceUnderTest, who: Person, query: str = "") -> set[str]:
    listed = await shop.api.get(who, f"/v1/customers?{query}")
    assert listed.status_code == 200, listed.text
    counted = await shop.api.get(who, f"/v1/customers/count?{query}")
    items = listed.json()["items"]
    assert counted.json() == {"count": len(items)}
    return {item["name"] for item in items}


async def test_pages_hold_every_customer_once_whoever_turns_them(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    made = [(await create(ana, name=f"Shop {n}"))["customer_id"] for n in range(7)]
    await create(mia, name="Not Ana's")
    for who, expected in ((ana, 7), (mia, 8)):
        path: str | None = "/v1/customers?limit=3"
        seen: list[str] = []
        while path:
            page = await shop.api.get(who, path)
            seen += [item["customer_id"] for item in page.json()["items"]]
            cursor = page.json()["next_cursor"]
            path = f"/v1/customers?limit=3&cursor={cursor}" if cursor else None
        assert len(seen) == len(set(seen)) == expected
        assert [one for one in seen if one in made] == made[::-1]


async def test_a_cursor_is_of_no_use_to_another_or_with_another_filter(
    shop: ServiceUnderTest, create: Create
) -> None:
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    for n in range(3):
        await create(ana, name=f"Shop {n}")
    cursor = (await shop.api.get(ana, "/v1/customers?limit=1")).json()["next_cursor"]
    for who, query in ((bruno, "limit=1"), (ana, "limit=1&country=ES")):
        answer = await shop.api.get(who, f"/v1/customers?{query}&cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (422, "cursor-invalid")


async def test_filters_narrow_and_never_widen(shop: ServiceUnderTest, create: Create) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    await create(ana, name="Ωμέγα", addresses=[{"country": "GR", "city": "Αθήνα"}])
    second = await create(bruno, name="Café Élan", addresses=[{"country": "FR", "city": "Paris"}])
    await create(mia, name="100% Vino")
    extra = {"member_id": str(ana.member_id), "relation": "additional"}
    await shop.api.post(mia, second["path"] + "/assignments", extra)

    assert await names(shop, mia) == {"Ωμέγα", "Café Élan", "100% Vino"}
    assert await names(shop, mia, f"rep={ana.member_id}") == {"Ωμέγα"}
    assert await names(shop, mia, f"any_rep={ana.member_id}") == {"Ωμέγα", "Café Élan"}
    assert await names(shop, mia, "unassigned=true") == {"100% Vino"}
    assert await names(shop, mia, "unassigned=false") == {"Ωμέγα", "Café Élan"}
    assert await names(shop, mia, "country=gr") == {"Ωμέγα"}
    assert await names(shop, mia, "text=cafe elan") == {"Café Élan"}
    assert await names(shop, mia, "text=ΩΜΕΓΑ") == {"Ωμέγα"}
    assert await names(shop, mia, "text=αθηνα") == {"Ωμέγα"}
    assert await names(shop, mia, "text=%25") == set()
    assert await names(shop, mia, "text=100%25") == {"100% Vino"}
    assert await names(shop, mia, "text=_") == set()
    assert await names(shop, mia, "status=pending") == set()
    assert await names(shop, ana) == {"Ωμέγα", "Café Élan"}
    assert await names(shop, ana, f"rep={bruno.member_id}") == {"Café Élan"}
    assert await names(shop, bruno, f"rep={ana.member_id}") == set()
    assert await names(shop, bruno, "text=vino") == set()


SOON, LATELY = (datetime.now(UTC) + sign * timedelta(days=1) for sign in (1, -1))


@pytest.mark.parametrize(
    ("became", "counts"),
    [
        ({"role": "sales_representative", "status": "inactive"}, False),
        ({"role": "sales_representative", "status": "invited"}, False),
        ({"role": "sales_representative", "valid_until": LATELY}, False),
        ({"role": "sales_representative", "valid_from": SOON}, False),
        ({"role": "custom_member", "ticks": {"customers": "edit"}}, False),
        ({"role": "sales_assistant"}, False),
        ({"permissions": ["customers"]}, False),
        ({"permissions": ["customers", "orders", "members"]}, False),
        ({"permissions": ["reports"]}, False),
        ({"permissions": []}, False),
        ({"role": "sales_representative", "valid_until": SOON}, True),
        ({"role": "sales_administrator"}, True),
        ({"permissions": ["seller"]}, True),
        ({"permissions": ["customers", "seller"]}, True),
    ],
)
async def test_a_main_counts_only_while_they_may_have_customers(
    shop: ServiceUnderTest, create: Create, became: dict[str, Any], counts: bool
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    await create(ana, name="Ana's")
    assert await names(shop, mia, "unassigned=true") == set()
    await shop.member(member_id=ana.member_id, **became)
    covered = {"Ana's"} if counts else set()
    assert await names(shop, mia, "unassigned=false") == covered
    assert await names(shop, mia, "unassigned=true") == {"Ana's"} - covered
    listed = (await shop.api.get(mia, "/v1/representatives")).json()["items"]
    to_come = became.get("valid_from") is SOON
    assert (str(ana.member_id) in {one["member_id"] for one in listed}) is (counts or to_come)
    await shop.member("sales_representative", member_id=ana.member_id)
    assert await names(shop, mia, "unassigned=true") == set()


async def test_a_suspended_customer_is_neither_covered_nor_unassigned(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    for who in (mia, ana):
        one = await create(who)
        suspended = await shop.api.post(mia, one["path"] + "/suspend", headers={"If-Match": "*"})
        assert suspended.status_code == 200, suspended.text
    assert await names(shop, mia, "unassigned=true") == set()
    assert await names(shop, mia, "unassigned=false") == set()
    assert (await shop.api.get(mia, "/v1/customers/count")).json() == {"count": 2}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=garbage",
        "rep=7",
        "status=none",
        "country=XX",
        "nonsense=1",
        "unassigned=maybe",
        "text=%00",
    ],
)
async def test_a_wrong_filter_is_named(shop: ServiceUnderTest, query: str) -> None:
    mia = await shop.member("brand_manager")
    answer = await shop.api.get(mia, f"/v1/customers?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["where"] == query.partition("=")[0]


COPIES = """
INSERT INTO customers (org_id, customer_id, code, name, search, status, contacts, addresses, tags,
    created_by, listed_at, imported, version, seq)
SELECT org_id, md5(n::text)::uuid, 'C' || n, name, search, status, contacts, addresses, tags,
    created_by, listed_at + n * interval '1 microsecond', imported, version, seq + n
FROM customers, generate_series(1, 149) n
"""


async def test_a_page_of_heavy_customers_ends_by_bytes_and_the_next_one_goes_on(
    shop: ServiceUnderTest, create: Create, postgres: Postgres
) -> None:
    mia = await shop.member("brand_manager")
    await create(mia, contacts=[{"name": "Ω" * 200, "title": "Ω" * 60} for _ in range(28)])
    connection = await asyncpg.connect(superuser_dsn(postgres, shop.urls))
    await connection.execute(COPIES)
    await connection.close()
    path, found, sizes = "/v1/customers?limit=200", [], []
    while path:
        page = await shop.api.get(mia, path)
        body = page.json()
        assert ("link" in page.headers) == (body.get("next_cursor") is not None)
        found += [one["customer_id"] for one in body["items"]]
        sizes.append(len(page.content))
        path = page.headers.get("link", "").partition(">")[0].removeprefix("<")
    assert len(found) == len(set(found)) == 150
    assert max(sizes) < 1.1 * MOST_BYTES
    assert min(sizes[:-1]) > 0.9 * MOST_BYTES
