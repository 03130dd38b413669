"""Customers are found by what people know them by, as they write it, within what the caller may see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bailiwick_customers.store import searching
from bailiwick_testkit.checks.query_plans import listening
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.servers.real import Postgres
from bailiwick_testkit.services.large_company import Company, fill, superuser_dsn
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

Create = Callable[..., Awaitable[dict[str, Any]]]
LIST, LOOKUP = "/v1/customers", "/v1/customers/lookup"
MADRID = [{"country": "ES", "city": "Madrid", "postal_code": "28013"}]


async def names(shop: ServiceUnderTest, who: Person, text: str, path: str = LIST) -> list[str]:
    """Return the names of what is found, and see that it is counted too."""
    answer = await shop.api.get(who, path, params={"text": text})
    assert answer.status_code == 200, answer.text
    found = sorted(one["name"] for one in answer.json()["items"])
    if path == LIST:
        count = await shop.api.get(who, f"{path}/count", params={"text": text})
        assert count.json()["count"] == len(found)
    return found


@pytest.mark.parametrize("few", [1000, 0], ids=["rare words", "frequent words"])
async def test_each_word_is_found_however_it_is_written_for_a_manager_and_for_a_representative(
    shop: ServiceUnderTest, create: Create, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(searching, "FEW", few)
    mia = await shop.member("brand_manager")
    ana = await shop.member("sales_representative")
    bruno = await shop.member("sales_representative")
    for name in ("L’Atelier d’Été", "O'Brien & Sons", "Sœurs Œuvrard", "Zielona Łódź", "Acme™"):
        await create(ana, name=name)
    await create(ana, name="IŞIK")
    await create(ana, name="Papelería  –  Sol", addresses=MADRID)
    await create(bruno, name="Papelería\u200bSol", addresses=[{"country": "ES", "city": "Burgos"}])
    for text, found in {
        "l'atelier": "L’Atelier d’Été",
        "O’Brien": "O'Brien & Sons",
        "obrien": "O'Brien & Sons",
        "soeurs": "Sœurs Œuvrard",
        "lodz": "Zielona Łódź",
        "tm": "Acme™",
        "ışık": "IŞIK",
        "sol madrid": "Papelería  –  Sol",
        "madrid\u00a0 papeleria-sol": "Papelería  –  Sol",
    }.items():
        assert await names(shop, mia, text) == [found], text
        assert await names(shop, ana, text) == [found], text
        assert await names(shop, bruno, text) == [], text
    assert len(await names(shop, mia, "papeleria sol")) == 2
    assert await names(shop, bruno, "papeleria sol") == ["Papelería\u200bSol"]
    assert await names(shop, mia, "sol lisboa") == []
    assert await names(shop, mia, "… –") == []


async def test_a_customer_is_found_by_what_it_is_known_by_and_no_more_by_what_it_was(
    shop: ServiceUnderTest, create: Create
) -> None:
    ana = await shop.member("sales_representative")
    contact = {"name": "José Müller", "email": "jose@sol.example", "phone": "+34 600 11 22 33"}
    further = {"country": "ES", "city": "Toledo", "postal_code": "45001"}
    one = await create(
        ana,
        name="Sol",
        tax_id="ESB-12345678",
        tags=["Feria 2026"],
        contacts=[contact],
        addresses=[*MADRID, further],
    )
    was = ("B12345678", "12345678", "jose muller", "jose@sol.example", "600112233", "600 11 22 33")
    both = ("28013", "toledo", "45001", "feria", one["code"].lower(), "sol")
    for text in was + both:
        assert await names(shop, ana, text) == ["Sol"], text
    edit = {"tax_id": "ESA87654321", "contacts": [{"name": "Zoë"}]}
    path = one["path"]
    answer = await shop.api.patch(ana, path, edit, '"v1"')
    assert answer.status_code == 200, answer.text
    for text in (*both, "a87654321", "zoe"):
        assert await names(shop, ana, text) == ["Sol"], text
    for text in was:
        assert await names(shop, ana, text) == [], text


async def test_a_lookup_finds_by_what_it_shows_and_by_nothing_else(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia, tom = await shop.member("brand_manager"), await shop.member("sales_assistant")
    contact = {"name": "José", "email": "j@else.example", "phone": "600112233"}
    one = await create(
        mia, name="Sol", tax_id="B12345678", tags=["Feria"], contacts=[contact], addresses=MADRID
    )
    for text in ("sol", "madrid sol"):
        assert await names(shop, tom, text, LOOKUP) == ["Sol"], text
    hidden = ("B12345678", "feria", "jose", "j@else.example", "600112233", "28013", one["code"])
    for text in hidden:
        assert await names(shop, mia, text) == ["Sol"], text
        assert await names(shop, tom, text, LOOKUP) == [], text
        assert await names(shop, tom, f"sol {text}", LOOKUP) == [], text


async def test_all_shops_of_one_name_are_reached_by_an_assistant(
    shop: ServiceUnderTest, create: Create
) -> None:
    mia, tom = await shop.member("brand_manager"), await shop.member("sales_assistant")
    made = {(await create(mia, name="Sol", addresses=MADRID))["customer_id"] for _ in range(25)}
    path: str | None = f"{LOOKUP}?text=sol"
    found: list[str] = []
    while path:
        page = await shop.api.get(tom, path)
        found += [one["customer_id"] for one in page.json()["items"]]
        cursor = page.json().get("next_cursor")
        path = f"{LOOKUP}?text=sol&cursor={cursor}" if cursor else None
    assert len(found) == 25
    assert set(found) == made


@pytest.mark.parametrize("path", [LIST, LOOKUP])
@pytest.mark.parametrize(
    ("text", "most"), [("nowhere", 5), ("1999", 200), ("libreria", 1000), ("libreria 1999", 200)]
)
async def test_a_search_reads_little_of_a_company_however_rare_or_frequent_the_words(
    shop: ServiceUnderTest,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    text: str,
    most: int,
) -> None:
    """A trigram index, say, would be passed over: its operators may not see rows of others first."""
    monkeypatch.setattr(searching, "FEW", 100)
    mia = await shop.member("brand_manager")
    reps = [await shop.member("sales_representative") for _ in range(2)]
    company = Company(shop.org_id, reps[0].member_id, reps[1].member_id, orders=30_000)
    await fill("customers", superuser_dsn(postgres, shop.urls), company)
    with listening() as sent:
        await shop.api.get(mia, path, params={"text": text})
    asked = [one for one in sent if "customer" in one.text]
    assert asked
    for one in asked:
        read = await one.rows_read(shop.org_id)
        assert read["customers"] <= most, (one.text, read)
        assert read["customer_words"] <= 600, (one.text, read)
