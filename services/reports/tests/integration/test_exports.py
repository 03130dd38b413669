"""Exports: the same rows as the report, all of them, in little memory, harmless, and rechecked at the end."""

from __future__ import annotations

import asyncio
import gc
import io
import zipfile
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy import Row

from bailiwick_reports.api import exports
from bailiwick_reports.api.concurrency import Turns
from bailiwick_reports.api.spreadsheets import DownloadQuota, Kind, Spooled, spool
from bailiwick_reports.domain.portfolio import Standing
from bailiwick_reports.domain.sales import Group
from bailiwick_reports.store import tables
from bailiwick_reports.store.queries import ReportQueries
from bailiwick_testkit.fakes.orders import A_DAY, a_line
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.reports import PATH, Cast, ReportsService, cast_of
from bailiwick_testkit.services.service_under_test import ServiceUnderTest
from bailiwick_testkit.waiting import until

MANY = 8_000


@pytest.fixture
async def cast(shop: ServiceUnderTest) -> Cast:
    """The domain's fixture, told to reports."""
    return await cast_of(shop)


@pytest.mark.parametrize("name", ["Mia", "Ana", "Bruno"])
async def test_an_export_has_the_rows_of_the_report(cast: Cast, name: str) -> None:
    who = cast.people[name]
    for query in (
        "",
        "by=customer&by=author",
        "by=month&by=country",
        "by=credited_to&state=placed",
    ):
        rows = (await cast.desk.read(who, f"sales?{query}"))["rows"]
        exported = await cast.desk.exported(who, "sales", query)
        assert [
            (
                [one["value"] for one in row["by"]],
                row["currency"],
                row["orders"],
                row["pieces"],
                row["cancelled"]["orders"],
            )
            for row in rows
        ] == [
            (
                [row[part.partition("=")[2]] for part in query.split("&") if "by=" in part],
                row["currency"],
                int(row["orders"]),
                row["pieces"].removesuffix(".0000"),
                int(row["cancelled_orders"]),
            )
            for row in exported
        ], query
    portfolio = (await cast.desk.read(who, "portfolio"))["rows"]
    assert [row["customer_id"] for row in await cast.desk.exported(who, "portfolio")] == [
        row["customer"]["customer_id"] for row in portfolio
    ]
    [credit] = await cast.desk.exported(who, "credit")
    assert credit["orders"] == str((await cast.desk.read(who, "credit"))["rows"][0]["orders"])


async def test_a_team_is_exported_with_the_house_last(cast: Cast) -> None:
    rows = await cast.desk.exported(cast.people["Mia"], "team")
    assert {(row["member"], row["customers_main"], row["orders"]) for row in rows[:-1]} == {
        ("Mia", "1", "2"),
        ("Ana", "1", "3"),
        ("Bruno", "1", "1"),
    }
    assert (rows[-1]["member_id"], rows[-1]["member"], rows[-1]["orders"]) == ("house", "", "1")


async def test_names_that_would_be_formulas_are_exported_as_text(shop: ServiceUnderTest) -> None:
    desk, mia = ReportsService.of(shop), await shop.member("brand_manager", name="=1+1")
    for name in ("=HYPERLINK(1)", "@SUM(1)", "-2", "Sol; =1"):
        customer = desk.customers.customer(name)
        desk.orders.placed(customer, mia.member_id, mia.member_id, lines=[a_line("1", "1")])
    await desk.tell()
    rows = await desk.exported(mia, "sales", "by=customer&by=credited_to")
    names = {row["customer_name"] for row in rows}
    assert names == {"'=HYPERLINK(1)", "'@SUM(1)", "'-2", "Sol;' =1"}
    assert {row["credited_to_name"] for row in rows} == {"'=1+1"}
    body = await desk.read(mia, "sales?by=customer")
    assert "=HYPERLINK(1)" in {row["by"][0]["label"] for row in body["rows"]}


async def test_a_file_says_what_it_is_and_is_never_kept(cast: Cast) -> None:
    api, mia = cast.desk.shop.api, cast.people["Mia"]
    answer = await api.get(mia, f"{PATH}/sales/export?by=day")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-length"] == str(len(answer.content))
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith('attachment; filename="sales-2')
    assert disposition.endswith('.csv"')
    assert answer.content.startswith("\ufeffday,currency,orders".encode())
    sheet = await api.get(mia, f"{PATH}/team/export?format=xlsx")
    assert sheet.headers["content-type"].endswith("spreadsheetml.sheet")
    with zipfile.ZipFile(io.BytesIO(sheet.content)) as book:
        text = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in text
    assert "Bruno" in text
    for wrong in ("format=pdf", "format=csv&format=csv", "by=nonsense"):
        refused = await api.get(mia, f"{PATH}/sales/export?{wrong}")
        assert refused.status_code == 422, wrong
        assert "application/problem+json" in refused.headers["content-type"]


async def test_a_csv_is_written_as_the_caller_s_spreadsheet_reads_it(
    shop: ServiceUnderTest,
) -> None:
    desk, mia = ReportsService.of(shop), await shop.member("brand_manager")
    customer = desk.customers.customer("-Menos-")
    desk.orders.placed(customer, mia.member_id, mia.member_id, lines=[a_line("1.5", "2.25")])
    await desk.tell()
    path = f"{PATH}/sales/export?by=customer"

    async def the_line(query: str) -> str:
        answer = await shop.api.get(mia, f"{path}&{query}")
        assert answer.status_code == 200, answer.text
        return answer.content.decode("utf-8-sig").splitlines()[1].removeprefix(str(customer))

    assert (await the_line("")).startswith(",'-Menos-,EUR,1,1.5000,2.2500,")
    assert (await the_line("decimal_mark=comma")).startswith(";'-Menos-;EUR;1;1,5000;2,2500;")
    assert (await the_line("separator=semicolon")).startswith(";'-Menos-;EUR;1;1.5000;")
    assert (await the_line("separator=tab&text=raw")).startswith("\t-Menos-\tEUR\t1\t")
    for wrong in (
        "separator=comma&decimal_mark=comma",
        "format=xlsx&text=raw",
        "format=xlsx&separator=tab",
        "separator=;",
        "text=",
    ):
        assert (await shop.api.get(mia, f"{path}&{wrong}")).status_code == 422, wrong


async def seeded(shop: ServiceUnderTest, member: Person, many: int = MANY) -> None:
    """Write as many customers with a sale each."""
    customers = [
        {
            "org_id": shop.org_id,
            "customer_id": uuid4(),
            "code": str(number),
            "name": f"Customer {number}",
            "status": "approved",
            "country": "ES",
            "version": 1,
            "seq": number + 1,
        }
        for number in range(many)
    ]
    cells = [
        {
            "org_id": shop.org_id,
            "customer_id": one["customer_id"],
            "author_id": member.member_id,
            "credited_to": tables.HOUSE,
            "source": "other",
            "order_date": A_DAY,
            "currency": "EUR",
            "state": "placed",
            "orders": 1,
            "pieces": 1,
            "net": 2,
        }
        for one in customers
    ]
    async with shop.database.writing(shop.org_id) as connection:
        for start in range(0, many, 1000):
            end = start + 1000
            await connection.execute(sa.insert(tables.customers), customers[start:end])
            await connection.execute(sa.insert(tables.sales), cells[start:end])


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count, whenever a page goes to the file, how many rows of reports are in memory."""
    counted: list[int] = []

    async def counting(
        kind: Kind, columns: Any, pages: AsyncGenerator[Any, None], **more: Any
    ) -> Spooled:
        async def watched() -> AsyncGenerator[Any, None]:
            async for page in pages:
                kinds = {Group, Standing, Row}
                counted.append(sum(1 for one in gc.get_objects() if type(one) in kinds))
                yield page

        return await spool(kind, columns, watched(), **more)

    monkeypatch.setattr(exports, "spool", counting)
    monkeypatch.setattr(exports, "_LONGEST", 60)  # it is the counting that takes long
    return counted


async def test_a_report_of_too_many_rows_is_refused_and_exported_a_page_at_a_time(
    shop: ServiceUnderTest, alive: list[int]
) -> None:
    mia = await shop.member("brand_manager")
    await seeded(shop, mia)
    for report in ("sales?by=customer", "portfolio"):
        refused = await shop.api.get(mia, f"{PATH}/{report}")
        assert (refused.status_code, refused.json()["code"]) == (422, "report-too-large")
        assert refused.json()["most_rows"] == 5_000
    desk = ReportsService.of(shop)
    for report, query, column in (
        ("sales", "by=customer", "customer"),
        ("portfolio", "", "customer_id"),
    ):
        rows = await desk.exported(mia, report, query)
        assert len({row[column] for row in rows}) == len(rows) == MANY
    assert len(alive) == 2 * MANY / 1_000
    assert 0 < min(alive) <= max(alive) < 5_000


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "most"), exports._MOST_ROWS.items())
async def test_a_file_has_as_many_rows_as_is_said_and_no_more(
    shop: ServiceUnderTest, kind: Kind, most: int
) -> None:
    mia = await shop.member("brand_manager")
    await seeded(shop, mia, most)
    for path in ("sales/export?by=customer&by=author", "portfolio/export?"):
        answer = await shop.api.get(mia, f"{PATH}/{path}&format={kind}")
        assert answer.status_code == 200, answer.text
        if kind is Kind.CSV:
            assert answer.content.count(b"\r\n") == most + 1
    await seeded(shop, mia, 1)
    refused = await shop.api.get(mia, f"{PATH}/portfolio/export?format={kind}")
    assert (refused.status_code, refused.json()["code"]) == (422, "report-too-large")
    assert f"{most:,}" in refused.json()["detail"]


async def test_one_organization_leaves_a_turn_to_the_others() -> None:
    turns, busy, other = Turns(exports.AT_ONCE, exports.OF_ONE), uuid4(), uuid4()
    held: list[UUID] = []
    go_on = asyncio.Event()

    async def hold(org_id: UUID) -> None:
        async with turns.of(org_id):
            held.append(org_id)
            await go_on.wait()

    async def holds(org_id: UUID) -> bool:
        return org_id in held

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(hold(busy))
        await until(lambda: holds(busy))
        group.create_task(hold(other))
        await until(lambda: holds(other))
        assert held == [busy] * exports.OF_ONE + [other]
        go_on.set()
    assert len(held) == 21


@pytest.mark.parametrize("kind", Kind)
async def test_a_file_that_would_fill_the_disk_is_refused(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    path = f"{PATH}/sales/export?by=customer&format={kind}"
    monkeypatch.setattr(exports, "_LARGEST", 100)
    refused = await cast.desk.shop.api.get(cast.people["Mia"], path)
    assert (refused.status_code, refused.json()["code"]) == (422, "report-too-large")
    monkeypatch.undo()
    assert (await cast.desk.shop.api.get(cast.people["Mia"], path)).status_code == 200


async def test_while_finished_files_take_all_the_room_no_other_is_begun(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[Spooled] = []
    put = DownloadQuota.put

    def keeping(quota: DownloadQuota, org_id: UUID, spooled: Spooled) -> bool:
        counted.append(spooled)
        return put(quota, org_id, spooled)

    monkeypatch.setattr(DownloadQuota, "put", keeping)
    await cast.desk.exported(cast.people["Mia"], "sales")
    assert [one.file.closed for one in counted] == [True]
    monkeypatch.setattr(DownloadQuota, "has_room", lambda *_: True)
    monkeypatch.setattr(DownloadQuota, "put", lambda *_: False)  # others were put there meanwhile
    refused = await cast.desk.shop.api.get(cast.people["Mia"], f"{PATH}/sales/export?format=csv")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
    monkeypatch.setattr(DownloadQuota, "has_room", lambda *_: False)
    refused = await cast.desk.shop.api.get(cast.people["Mia"], f"{PATH}/sales/export?format=csv")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> dict[str, asyncio.Event]:
    """Hold the next export of sales up after its rows were read, until told to go on."""
    events = {"read": asyncio.Event(), "go_on": asyncio.Event()}
    pages = ReportQueries.sales_pages

    async def held_up(self: ReportQueries, *args: Any) -> AsyncGenerator[Any, None]:
        async for page in pages(self, *args):
            yield page
        events["read"].set()
        await events["go_on"].wait()

    monkeypatch.setattr(ReportQueries, "sales_pages", held_up)
    return events


@pytest.mark.parametrize("change", ["assignment", "role", "deactivation", "setting"])
async def test_what_was_lost_while_a_file_was_made_is_not_handed_out(
    cast: Cast, paused: dict[str, asyncio.Event], change: str
) -> None:
    ana, shop = cast.people["Ana"], cast.desk.shop
    asking = asyncio.create_task(shop.api.get(ana, f"{PATH}/sales/export?by=customer"))
    await asyncio.wait_for(paused["read"].wait(), 10)
    match change:
        case "assignment":
            await cast.desk.hand_over(cast.c1_main, cast.people["Bruno"])
        case "role":
            await shop.member("sales_assistant", member_id=ana.member_id)
        case "deactivation":
            await shop.member(permissions=["seller"], member_id=ana.member_id, status="inactive")
        case _:
            await shop.settings(author_keeps_order_view=False)
    paused["go_on"].set()
    answer = await asking
    expected = {
        "role": (403, "capability-missing"),
        "deactivation": (403, "account-inactive"),
    }.get(change, (503, "rights-changed"))
    assert (answer.status_code, answer.json()["code"]) == expected
    assert "C1" not in answer.text


async def test_an_export_gives_its_connection_back_before_anything_is_sent(
    cast: Cast, paused: dict[str, asyncio.Event]
) -> None:
    api, mia = cast.desk.shop.api, cast.people["Mia"]
    asking = [
        asyncio.create_task(api.get(mia, f"{PATH}/sales/export?by=customer")) for _ in range(12)
    ]
    await asyncio.wait_for(paused["read"].wait(), 10)
    # More exports than connections are waiting, and everybody else is still served.
    assert len((await cast.desk.read(mia, "sales"))["rows"]) == 1
    paused["go_on"].set()
    assert [answer.status_code for answer in await asyncio.gather(*asking)] == [200] * 12


async def test_a_file_that_cannot_be_written_in_time_is_for_later_and_holds_nobody_up(
    cast: Cast, paused: dict[str, asyncio.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_LONGEST", 0.3)
    api, mia = cast.desk.shop.api, cast.people["Mia"]
    for _ in range(4):
        refused = await api.get(mia, f"{PATH}/sales/export?by=customer")
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert refused.headers["retry-after"] == "30"
    monkeypatch.undo()
    assert len(await cast.desk.exported(mia, "sales", "by=customer")) == 4
