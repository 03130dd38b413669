"""Reading CSV files row by row, with the physical line that each row begins on."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bailiwick_local.importing.faults import Faults, UnreadableError

_LONGEST_LINE = 10_000_000
_OTHER_UNICODE = (
    codecs.BOM_UTF32_LE,
    codecs.BOM_UTF32_BE,
    codecs.BOM_UTF16_LE,
    codecs.BOM_UTF16_BE,
)


@dataclass(frozen=True)
class Row:
    """One row: its cells by column, stripped; the line it begins on."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A CSV file, UTF-8, with a header; `name` is what the mapping calls it."""

    name: str
    path: Path
    delimiter: str = ","

    def rows(self, columns: Iterable[str], faults: Faults) -> Iterator[Row]:
        """Give the rows; one whose cells do not match the header is noted and left out.

        Raises:
            UnreadableError: the rest cannot be read, or a needed column is missing.
        """
        reader = csv.reader(self._lines(faults), delimiter=self.delimiter, strict=True)
        header = [name.strip() for name in self._next(reader, faults) or ()]
        self._check(header, columns, faults)
        began = reader.line_num + 1
        while (cells := self._next(reader, faults)) is not None:
            line, began = began, reader.line_num + 1
            if not cells:
                continue
            if len(cells) != len(header):
                message = f"This row has {len(cells)} cells, the header has {len(header)}"
                faults.add(self.name, line, "", message)
                continue
            stripped = (cell.strip() for cell in cells)
            yield Row(line, dict(zip(header, stripped, strict=True)))

    def _next(self, reader: Iterator[list[str]], faults: Faults) -> list[str] | None:
        try:
            return next(reader, None)
        except csv.Error as error:
            line = getattr(reader, "line_num", None)
            faults.add(self.name, line, "", f"This is not CSV from here on: {error}")
            raise UnreadableError from None

    def _check(self, header: list[str], columns: Iterable[str], faults: Faults) -> None:
        before = faults.count
        if not any(header):
            faults.add(self.name, 1, "", "The first line has to name the columns")
            raise UnreadableError
        for name in sorted({name for name in header if header.count(name) > 1}):
            faults.add(self.name, 1, name, "There are two columns of this name")
        for name in sorted(set(columns) - set(header)):
            known = ", ".join(header)
            faults.add(self.name, 1, name, f"The mapping needs this column; there are: {known}")
        if faults.count > before:
            raise UnreadableError

    def _lines(self, faults: Faults) -> Iterator[str]:
        try:
            with self.path.open("rb") as file:
                yield from self._decoded(file, faults)
        except OSError as error:
            faults.add(self.name, None, "", f"The file cannot be read: {error.strerror}")
            raise UnreadableError from None

    def _decoded(self, lines: Iterable[bytes], faults: Faults) -> Iterator[str]:
        for number, line in enumerate(lines, start=1):
            what = None
            if number == 1 and line.startswith(_OTHER_UNICODE):
                what = "This is UTF-16 or UTF-32; save the file as UTF-8"
            elif b"\0" in line:
                what = "There is a NUL byte; save the file as text in UTF-8"
            elif len(line) > _LONGEST_LINE:
                what = f"This line is longer than {_LONGEST_LINE:,} bytes"
            else:
                try:
                    yield line.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").decode()
                except UnicodeDecodeError as error:
                    byte = line[error.start]
                    what = f"Byte 0x{byte:02X} at {error.start + 1} is not UTF-8; save the file as UTF-8"
            if what:
                faults.add(self.name, number, "", what)
                raise UnreadableError
