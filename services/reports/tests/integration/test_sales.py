"""Sales and credit: what each role is told of the domain's fixture, before and after a handover."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest

from bailiwick_kit.web.read_your_writes import Position
from bailiwick_testkit.fakes.orders import A_DAY, a_line
from bailiwick_testkit.services.reports import PATH, Cast, ReportsService, cast_of
from bailiwick_testkit.services.service_under_test import ServiceUnderTest

MONTH = "2026-01"


@pytest.fixture
async def cast(shop: ServiceUnderTest) -> Cast:
    """The domain's fixture, told to reports."""
    return await cast_of(shop)


async def counts(cast: Cast, name: str, report: str) -> dict[Any, int]:
    """Return a report's counts by what its rows are about, people and customers by name."""
    rows = (await cast.desk.read(cast.people[name], report))["rows"]
    keys = [tuple(cast.name_of(one["value"]) for one in row["by"]) for row in rows]
    assert len(set(keys)) == len(keys), "one currency here, so one row each"
    return {
        key[0] if len(key) == 1 else key: row["orders"] for key, row in zip(keys, rows, strict=True)
    }


async def total(cast: Cast, name: str, report: str) -> int:
    totals = (await cast.desk.read(cast.people[name], report))["totals"]
    return sum(one["orders"] for one in totals)


async def test_everybody_is_told_what_they_may_view_and_no_more(cast: Cast) -> None:
    assert await total(cast, "Mia", "sales") == 7
    assert await total(cast, "Ana", "sales") == 5
    assert await total(cast, "Bruno", "sales") == 2
    mia = await cast.desk.read(cast.people["Mia"], "sales?by=month")
    [row] = mia["rows"]
    assert row["by"] == [{"dimension": "month", "value": MONTH, "label": MONTH}]
    [whole] = mia["totals"]
    figures = {
        "currency": "EUR",
        "orders": 7,
        "pieces": "14",
        "net": {"amount": "140.00", "currency": "EUR"},
        "cancelled": {"orders": 0, "net": {"amount": "0.00", "currency": "EUR"}},
    }
    states = "state=placed&state=confirmed&state=fulfilled"
    assert whole == {**figures, "orders_link": f"/v1/orders?{states}&currency=EUR"}
    dates = "order_date_from=2026-01-01&order_date_to=2026-01-31"
    link = f"/v1/orders?{states}&{dates}&currency=EUR"
    assert row == {**figures, "by": row["by"], "orders_link": link}


@pytest.mark.parametrize("form", ["", "/export"])
async def test_who_lacks_reports_is_refused_before_the_query_is_judged(
    cast: Cast, form: str
) -> None:
    api = cast.desk.shop.api
    for report, wrong in product(
        ("sales", "credit", "portfolio", "team"), ("", "?by=nonsense&unknown=1")
    ):
        path = f"{PATH}/{report}{form}{wrong}"
        assert (await api.get(None, path)).status_code == 401
        for name in ("Tom", "Zoe", "buyer"):
            answer = await api.get(cast.people[name], path)
            assert (answer.status_code, answer.json()["code"]) == (403, "capability-missing")


@pytest.mark.parametrize("form", ["", "/export"])
async def test_the_team_is_for_managers(cast: Cast, form: str) -> None:
    nora = await cast.desk.shop.member("sales_administrator")
    reports = await cast.desk.shop.member(permissions=["reports"])
    for who in (cast.people["Ana"], cast.people["Bruno"], nora, reports):
        answer = await cast.desk.shop.api.get(who, f"{PATH}/team{form}")
        assert (answer.status_code, answer.json()["code"]) == (403, "capability-missing")
    manager = await cast.desk.shop.member(permissions=["reports", "members"])
    answer = await cast.desk.shop.api.get(manager, f"{PATH}/team{form}")
    assert answer.status_code == 200, answer.text


async def test_a_manager_groups_by_every_member_and_customer_by_name(cast: Cast) -> None:
    assert await counts(cast, "Mia", "sales?by=author") == {
        "buyer": 2,
        "Bruno": 1,
        "Ana": 2,
        "Mia": 2,
    }
    credit = {"Ana": 3, "Bruno": 1, "Mia": 2, "house": 1}
    assert await counts(cast, "Mia", "sales?by=credited_to") == credit
    customers = {"C1": 3, "C2": 2, "C3": 1, "C4": 1}
    assert await counts(cast, "Mia", "sales?by=customer") == customers
    rows = (await cast.desk.read(cast.people["Mia"], "sales?by=customer&by=credited_to"))["rows"]
    labels = {tuple(one["label"] for one in row["by"]) for row in rows}
    assert {("C1", "Ana"), ("C3", "house"), ("C2", "Bruno")} <= labels


async def test_a_representative_sees_self_and_others_and_nobody_elses_id_or_name(
    cast: Cast,
) -> None:
    assert await counts(cast, "Ana", "sales?by=author") == {"Ana": 2, "others": 3}
    assert await counts(cast, "Ana", "sales?by=credited_to") == {"Ana": 3, "others": 2}
    assert await counts(cast, "Bruno", "sales?by=author") == {"Bruno": 1, "others": 1}
    both = await counts(cast, "Ana", "sales?by=customer&by=credited_to")
    assert both == {
        ("C1", "Ana"): 2,
        ("C1", "others"): 1,
        ("C2", "Ana"): 1,
        ("C2", "others"): 1,
    }
    text = str(await cast.desk.read(cast.people["Ana"], "sales?by=author&by=credited_to"))
    for name in ("Mia", "Bruno", "buyer"):
        assert str(cast.people[name].member_id) not in text
        assert f"'{name}'" not in text


async def test_asking_for_what_is_folded_away_finds_nothing(cast: Cast) -> None:
    bruno = cast.people["Bruno"].member_id
    for field in ("author_id", "credited_to"):
        assert await total(cast, "Ana", f"sales?{field}={bruno}") == 0
        assert await total(cast, "Mia", f"sales?{field}={bruno}") == 1
    ana = cast.people["Ana"].member_id
    assert await total(cast, "Ana", f"sales?author_id={ana}") == 2
    assert await total(cast, "Ana", "sales?author_id=others") == 3
    assert await total(cast, "Ana", f"sales?credited_to={ana}") == 3
    assert await total(cast, "Ana", "sales?credited_to=others") == 2
    assert await total(cast, "Ana", "sales?credited_to=house") == 0
    assert await total(cast, "Mia", "sales?credited_to=house") == 1
    assert await total(cast, "Mia", f"sales?credited_to={UUID(int=0)}") == 0  # nobody's id
    assert await total(cast, "Mia", "sales?credited_to=others") == 5
    assert await total(cast, "Ana", f"sales?customer_id={cast.customers['C4']}") == 0
    assert await total(cast, "Ana", f"sales?customer_id={uuid4()}") == 0
    assert await total(cast, "Mia", "sales?customer_id=former") == 0


async def test_sales_move_with_visibility_and_credit_does_not(cast: Cast) -> None:
    day = f"?by=day&order_date_from={A_DAY}&order_date_to={A_DAY}"
    before = {
        name: await cast.desk.read(cast.people[name], f"credit{day}") for name in ("Ana", "Bruno")
    }
    assert [row["orders"] for row in before["Ana"]["rows"]] == [3]
    assert [row["orders"] for row in before["Bruno"]["rows"]] == [1]

    moved = await cast.desk.hand_over(cast.c1_main, cast.people["Bruno"])

    assert await counts(cast, "Ana", "sales?by=customer") == {"C2": 2, "former": 1}
    assert await counts(cast, "Ana", "sales?by=country") == {"ES": 2, "former": 1}
    assert await counts(cast, "Bruno", "sales?by=customer") == {"C1": 3, "C2": 2}
    assert await total(cast, "Mia", "sales") == 7
    for name, credit in before.items():
        assert await cast.desk.read(cast.people[name], f"credit{day}") == credit

    await cast.desk.hand_over(moved, cast.people["Ana"])
    assert await total(cast, "Ana", "sales") == 5
    assert await total(cast, "Bruno", "sales") == 2
    for name, credit in before.items():
        assert await cast.desk.read(cast.people[name], f"credit{day}") == credit


async def test_what_was_lost_is_former_and_no_trait_of_its_customer_finds_it(cast: Cast) -> None:
    await cast.desk.hand_over(cast.c1_main, cast.people["Bruno"])
    lost, kept = cast.customers["C1"], cast.customers["C2"]
    assert await total(cast, "Ana", f"sales?customer_id={lost}") == 0
    assert await total(cast, "Ana", f"sales?customer_id={kept}") == 2
    assert await total(cast, "Ana", "sales?customer_id=former") == 1
    assert await total(cast, "Ana", "sales?country=ES") == 2
    assert await total(cast, "Ana", "sales?country=none") == 0
    assert await total(cast, "Ana", "sales?customer_id=former&country=ES") == 0
    both = await counts(cast, "Ana", "sales?by=customer&by=country")
    assert both == {("C2", "ES"): 2, ("former", "former"): 1}
    for report in ("sales?by=customer&by=country", "credit?by=day", "portfolio"):
        text = str(await cast.desk.read(cast.people["Ana"], report))
        assert str(lost) not in text
        assert "'C1'" not in text
    exported = await cast.desk.exported(cast.people["Ana"], "sales", "by=customer")
    assert [row["customer"] for row in exported] == [str(kept), "former"]


async def test_where_the_setting_is_off_nothing_is_left_of_what_was_lost(cast: Cast) -> None:
    await cast.desk.shop.settings(author_keeps_order_view=False)
    await cast.desk.hand_over(cast.c1_main, cast.people["Bruno"])
    assert await counts(cast, "Ana", "sales?by=customer") == {"C2": 2}
    assert await total(cast, "Ana", "credit") == 3


async def test_a_manager_without_orders_gets_no_links(cast: Cast) -> None:
    reports = await cast.desk.shop.member(permissions=["reports"])
    body = await cast.desk.read(reports, "sales?by=customer")
    assert [row["orders"] for row in body["totals"]] == [7]
    assert {row["orders_link"] for row in (*body["rows"], *body["totals"])} == {None}
    assert [row["orders_link"] for row in (await cast.desk.read(reports, "portfolio"))["rows"]] == (
        [None] * 4
    )


async def test_seller_with_reports_sees_everything(cast: Cast) -> None:
    wide = await cast.desk.shop.member(
        permissions=["seller", "reports"], member_id=cast.people["Ana"].member_id, name="Ana"
    )
    cast.people["Ana"] = wide
    assert await total(cast, "Ana", "sales") == 7
    assert (await counts(cast, "Ana", "sales?by=credited_to"))["house"] == 1


async def test_credit_is_ones_own_and_links_to_what_may_be_viewed_of_it(cast: Cast) -> None:
    body = await cast.desk.read(cast.people["Ana"], "credit?by=month&by=source")
    [row] = body["rows"]
    assert [one["value"] for one in row["by"]] == [MONTH, "phone"]
    assert f"credited_to={cast.people['Ana'].member_id}" in row["orders_link"]
    assert f"credited_to={cast.people['Ana'].member_id}" in body["totals"][0]["orders_link"]
    answer = await cast.desk.shop.api.get(cast.people["Ana"], f"{PATH}/credit?by=customer")
    assert answer.status_code == 422


async def test_currencies_and_cancelled_orders_stay_apart(shop: ServiceUnderTest) -> None:
    desk = ReportsService.of(shop)
    mia = await shop.member("brand_manager")
    customer = desk.customers.customer()
    for currency, net in (("EUR", "12.3456"), ("GBP", "7.1"), ("EUR", "0.0001")):
        desk.orders.placed(
            customer, mia.member_id, mia.member_id, currency=currency, lines=[a_line("2.5", net)]
        )
    gone = desk.orders.placed(customer, mia.member_id, mia.member_id, lines=[a_line("1", "9.99")])
    desk.orders.cancel(gone)
    desk.orders.draft(customer, mia.member_id)
    never = desk.orders.draft(customer, mia.member_id)
    desk.orders.cancel(never)
    done = desk.orders.placed(customer, mia.member_id, mia.member_id, lines=[a_line("1", "100")])
    desk.orders.confirm(done)
    desk.orders.fulfil(done)
    await desk.tell()

    euros, pounds = (await desk.read(mia, "sales"))["totals"]
    assert (euros["currency"], euros["orders"], euros["pieces"]) == ("EUR", 3, "6")
    assert euros["net"] == {"amount": "112.3457", "currency": "EUR"}
    assert euros["cancelled"] == {"orders": 1, "net": {"amount": "9.99", "currency": "EUR"}}
    assert (pounds["currency"], pounds["orders"], pounds["pieces"]) == ("GBP", 1, "2.5")
    assert pounds["net"] == {"amount": "7.10", "currency": "GBP"}
    assert pounds["cancelled"]["orders"] == 0

    [only] = (await desk.read(mia, "sales?state=fulfilled&currency=EUR"))["rows"]
    assert (only["orders"], only["cancelled"]["orders"]) == (1, 1)
    assert only["orders_link"] == "/v1/orders?state=fulfilled&currency=EUR"
    assert (await desk.read(mia, "sales?source=visit"))["rows"] == []


async def test_rows_come_in_the_order_of_time_or_value_then_currency(
    shop: ServiceUnderTest,
) -> None:
    desk = ReportsService.of(shop)
    mia = await shop.member("brand_manager")
    here, there = desk.customers.customer(country="GB"), desk.customers.customer(country="ES")
    nowhere = desk.customers.customer(country=None)
    days = [A_DAY, A_DAY - timedelta(days=40), A_DAY + timedelta(days=400), date(1996, 7, 4)]
    for place, customer in enumerate((here, there, nowhere, here)):
        for currency in ("GBP", "EUR"):
            desk.orders.placed(
                customer, mia.member_id, None, days[place], currency=currency, source="import"
            )
    await desk.tell()

    async def order(by: str) -> list[tuple[str, ...]]:
        rows = (await desk.read(mia, f"sales?{by}"))["rows"]
        return [(*(one["value"] for one in row["by"]), row["currency"]) for row in rows]

    months = ["1996-07", "2025-12", "2026-01", "2027-02"]
    both = ("EUR", "GBP")
    assert await order("by=month") == [(month, one) for month in months for one in both]
    assert await order("by=day") == [(day.isoformat(), one) for day in sorted(days) for one in both]
    countries = ["ES", "GB", "none"]
    assert await order("by=country") == [(country, one) for country in countries for one in both]
    assert await order("by=source") == [("import", one) for one in both]
    assert (await order("by=country&by=month"))[:2] == [
        ("ES", "2025-12", "EUR"),
        ("ES", "2025-12", "GBP"),
    ]
    assert await order("by=month&country=none") == [("2027-02", one) for one in both]
    assert await order("by=month&country=gb&currency=EUR&order_date_to=2000-01-01") == [
        ("1996-07", "EUR")
    ]


async def test_a_later_country_takes_the_orders_with_it(cast: Cast) -> None:
    cast.desk.customers.customer("C1", customer_id=cast.customers["C1"], country="GB")
    await cast.desk.tell()
    assert await counts(cast, "Mia", "sales?by=country") == {"GB": 3, "ES": 4}


WRONG = [
    "by=nonsense",
    "by=day&by=month&by=author",
    "by=day&by=day",
    "state=draft",
    "state=cancelled",
    "state=placed&state=placed",
    "source=",
    "customer_id=others",
    "customer_id=1",
    "author_id=house",
    "author_id=former",
    "credited_to=nobody",
    "country=UK",
    "country=Spain",
    "currency=euro",
    "currency=XXXX",
    "order_date_from=1700000000",
    "order_date_to=2026-02-30",
    "source=visit&source=phone",
    "limit=10",
    "format=csv",
]


async def test_a_wrong_query_is_named(cast: Cast) -> None:
    for query in WRONG:
        answer = await cast.desk.shop.api.get(cast.people["Mia"], f"{PATH}/sales?{query}")
        assert answer.status_code == 422, query
        where = answer.json()["errors"][0]["where"]
        assert where.partition("[")[0] == query.partition("=")[0]


async def test_another_organizations_manager_is_told_nothing(cast: Cast) -> None:
    identity = cast.desk.shop.identity
    stranger = identity.person(identity.organization(), "brand_manager")
    await cast.desk.shop.tell()
    for report in ("sales?by=customer", "credit", "portfolio"):
        body = await cast.desk.read(stranger, report)
        assert body["rows"] == []
    team = await cast.desk.read(stranger, "team")
    assert team["members"] == team["house"] == []
    assert team["coverage"] == {"approved": 0, "without_representative": 0}


async def test_a_change_that_has_not_arrived_is_waited_for_and_then_503(cast: Cast) -> None:
    order_id = cast.orders["O1"]
    api, mia = cast.desk.shop.api, cast.people["Mia"]
    path = f"{PATH}/sales"
    answer = await api.get(mia, path, headers=mia.after(Position("orders", order_id, 1)))
    assert answer.status_code == 200
    ahead = await api.get(mia, path, headers=mia.after(Position("orders", order_id, 2)))
    assert (ahead.status_code, ahead.json()["code"]) == (503, "position-not-reached")
