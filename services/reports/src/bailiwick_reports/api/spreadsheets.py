"""Tables as files to download: CSV or XLSX, of any length, in little memory.

Rows come in pages and go to a temporary file, off the event loop; only then does the answer begin, so
that nothing else is held while a slow client reads. The file has no name and is gone once it is closed.

    spooled = await spool(Kind.CSV, ("day", "net"), pages)
    return Download(spooled, "sales.csv")

What people typed is made harmless for spreadsheets that run what begins like a formula (OWASP: CSV
injection), unless a program is to read it (`CsvFormat.escapes`); numbers and dates stay what they are.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
import tempfile
from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import IO, Final, Protocol, TypeAlias
from uuid import UUID

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override
from xlsxwriter import Workbook  # type: ignore[import-untyped]

from bailiwick_reports.api.csv_injection import harmless
from bailiwick_reports.domain.errors import ReportTooLarge

Cell: TypeAlias = str | int | Decimal | date | None
Row: TypeAlias = Sequence[Cell]

_CHUNK = 64 * 1024
_BOM = "\ufeff"
_LONGEST_EXACT = 15
"""Digits that a spreadsheet keeps of a number."""
_FIRST_EXCEL_DAY = date(1900, 3, 1)
"""Before it, spreadsheets do not agree on which day a number means."""


class Kind(StrEnum):
    """The kinds of file."""

    CSV = "csv"
    XLSX = "xlsx"

    @property
    def media_type(self) -> str:
        """Return the kind's media type."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES: Final = {
    Kind.CSV: "text/csv; charset=utf-8; header=present",
    Kind.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True)
class CsvFormat:
    """How a CSV file is written: what stands between cells, before decimals, and before risky text.

    `escapes` puts an apostrophe before what a spreadsheet could run as a formula. Without it text is what
    it is in the database, for programs to read.
    """

    separator: str = ","
    decimal_mark: str = "."
    escapes: bool = True


@dataclass
class Spooled:
    """A written file, open at its beginning. Whoever has it closes it."""

    kind: Kind
    size: int
    file: IO[bytes]


class DownloadQuota:
    """Finished files that are still being sent, and whether there is room for more of them.

    A process has little room for temporary files, and clients are slow, some on purpose. So an organization
    has a share of the room: its slow clients cannot take it all from the others.
    """

    def __init__(self, room: int, share: int) -> None:
        self._room = room
        self._share = share
        self._files: list[tuple[UUID, Spooled]] = []

    def has_room(self, org_id: UUID, size: int = 1) -> bool:
        """Return whether the files that are not closed leave so many bytes of the room and of the share."""
        self._files = [(owner, one) for owner, one in self._files if not one.file.closed]
        taken = sum(one.size for _, one in self._files)
        own = sum(one.size for owner, one in self._files if owner == org_id)
        return taken + size <= self._room and own + size <= self._share

    def put(self, org_id: UUID, spooled: Spooled) -> bool:
        """Count a file of the organization until it is closed; return False if there is no room for it.

        Others were written at the same time: there may have been room when it was begun.
        """
        if not self.has_room(org_id, spooled.size):
            return False
        self._files.append((org_id, spooled))
        return True


class _Sheet(Protocol):
    """A file of one kind that is being written, in a thread."""

    def size(self) -> int:
        """Give the bytes that its rows take so far."""
        ...

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        ...

    def finish(self) -> None:
        """Write what is left."""
        ...

    def close(self) -> None:
        """Let go of whatever it holds, finished or not."""
        ...


class _Csv:
    """RFC 4180 in UTF-8, with the byte order mark that spreadsheets know it by."""

    def __init__(self, file: IO[bytes], layout: CsvFormat) -> None:
        self._file = file
        self._layout = layout
        file.write(_BOM.encode())

    def size(self) -> int:
        return self._file.tell()

    def write(self, rows: Sequence[Row]) -> None:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self._layout.separator)
        writer.writerows([self._as_text(cell) for cell in row] for row in rows)
        self._file.write(text.getvalue().encode())

    def _as_text(self, cell: Cell) -> str:
        match cell:
            case str():
                return harmless(cell) if self._layout.escapes else cell
            case Decimal():
                return _as_text(cell).replace(".", self._layout.decimal_mark)
            case _:
                return _as_text(cell)

    def finish(self) -> None:
        """Everything is written already."""

    def close(self) -> None:
        """Nothing is held."""


def _as_text(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case str():
            return cell
        case Decimal():
            return format(cell, "f")
        case int():
            return str(cell)
        case date():
            return cell.isoformat()


class _Xlsx:
    """One worksheet, row by row. A text is a text there, and never a formula."""

    def __init__(self, file: IO[bytes], _: CsvFormat) -> None:
        self._parts = tempfile.TemporaryDirectory()
        options = {"constant_memory": True, "tmpdir": self._parts.name}
        self._book = Workbook(file, options)
        self._sheet = self._book.add_worksheet()
        self._day = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._next = 0

    def size(self) -> int:
        return int(self._sheet.row_data_fh.tell())

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            for column, cell in enumerate(row):
                self._put(column, cell)
            self._next += 1

    def finish(self) -> None:
        self._book.close()

    def close(self) -> None:
        self._sheet.row_data_fh.close()
        self._parts.cleanup()

    def _put(self, column: int, cell: Cell) -> None:
        at = (self._next, column)
        match cell:
            case None:
                pass
            case str():
                self._sheet.write_string(*at, cell)
            case Decimal() | int():
                if _is_exact(cell):
                    self._sheet.write_number(*at, float(cell))
                else:
                    self._sheet.write_string(*at, _as_text(cell))
            case date():
                if not isinstance(cell, datetime) and cell >= _FIRST_EXCEL_DAY:
                    self._sheet.write_datetime(*at, cell, self._day)
                else:
                    self._sheet.write_string(*at, _as_text(cell))


def _is_exact(number: Decimal | int) -> bool:
    return len(Decimal(number).normalize().as_tuple().digits) <= _LONGEST_EXACT


_SHEETS: Final[dict[Kind, Callable[[IO[bytes], CsvFormat], _Sheet]]] = {
    Kind.CSV: _Csv,
    Kind.XLSX: _Xlsx,
}


class _Writing:
    """A temporary file that is being written: one step at a time, each in a thread."""

    def __init__(self, kind: Kind, layout: CsvFormat) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by whoever gets it
        try:
            self._sheet = _SHEETS[kind](self.file, layout)
        except BaseException:
            self.file.close()
            raise
        self._step: asyncio.Task[None] | None = None

    async def write(self, rows: Sequence[Row], most: int | None) -> None:
        await self._in_thread(lambda: self._sheet.write(rows))
        if most is not None and self._sheet.size() > most:
            raise ReportTooLarge("Ask for less, a year at a time, say.")

    async def finish(self) -> int:
        """Write what is left; return the size."""
        await self._in_thread(self._sheet.finish)
        self._sheet.close()
        size = self.file.tell()
        self.file.seek(0)
        return size

    def give_up(self) -> None:
        """Close everything, as soon as no thread writes to it any more."""
        if self._step is None or self._step.done():
            self._close()
        else:
            self._step.add_done_callback(self._close)

    def _close(self, step: asyncio.Task[None] | None = None) -> None:
        try:
            self._sheet.close()
        finally:
            self.file.close()
            if step is not None and not step.cancelled():
                step.exception()  # nobody is left who would hear of it

    async def _in_thread(self, work: Callable[[], None]) -> None:
        # A cancelled request does not end the thread: it is waited for by `give_up`.
        self._step = asyncio.create_task(asyncio.to_thread(work))
        await asyncio.shield(self._step)


_PLAIN = CsvFormat()


def _check_rows(count: int, most: int | None) -> None:
    if most is not None and count > most:
        raise ReportTooLarge(f"A file has at most {most:,} rows: ask for less.")


async def spool(
    kind: Kind,
    columns: Sequence[str],
    pages: AsyncIterable[Sequence[Row]],
    *,
    most_rows: int | None = None,
    most: int | None = None,
    layout: CsvFormat = _PLAIN,
) -> Spooled:
    """Write a header and all rows to a temporary file, and return it.

    `most_rows` is how many there may be beside the header, `most` how many bytes they may take, before an
    XLSX file is compressed.

    Raises:
        ReportTooLarge: there are more, or they take more.
    """
    writing, count = _Writing(kind, layout), 0
    try:
        await writing.write([columns], most)
        async for rows in pages:
            count += len(rows)
            _check_rows(count, most_rows)
            await writing.write(rows, most)
        return Spooled(kind, await writing.finish(), writing.file)
    except BaseException:
        writing.give_up()
        raise


class Download(Response):
    """Sends a spooled file as an attachment, in chunks; closes it whatever happens.

    `filename` is ours, never what somebody typed: ASCII letters, digits, points, dashes.
    """

    def __init__(self, spooled: Spooled, filename: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9.-]+", filename, re.ASCII):
            spooled.file.close()
            msg = "a file name of other characters needs quoting"
            raise ValueError(msg)
        self._spooled = spooled
        super().__init__(
            media_type=spooled.kind.media_type,
            headers={
                "Content-Disposition": f'attachment; filename="{filename}"',
                "Content-Length": str(spooled.size),
                "Cache-Control": "no-store",
            },
        )

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        file = self._spooled.file
        try:
            start = {"type": "http.response.start", "status": self.status_code}
            await send({**start, "headers": self.raw_headers})
            left = self._spooled.size
            while left > 0:
                chunk = await asyncio.to_thread(file.read, _CHUNK)
                if not chunk:
                    msg = "the file is shorter than it was"
                    raise OSError(msg)
                left -= len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})
        finally:
            file.close()
