"""Reading CSV files row by row, with the physical line that each row begins on."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from bailiwick_csv_import.faults import Faults, UnreadableError

_LONGEST_LINE = 10_000_000
_OTHER_UNICODE = (
    codecs.BOM_UTF32_LE,
    codecs.BOM_UTF32_BE,
    codecs.BOM_UTF16_LE,
    codecs.BOM_UTF16_BE,
)
_DELIMITER_LINE = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)
"""A first line that tells spreadsheets the delimiter: `sep=;`. It is no row."""


@dataclass(frozen=True)
class Row:
    """One row: its cells by column, stripped; the line it begins on."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A CSV file, UTF-8, with a header; `name` is what the mapping calls it.

    `delimiter` is what its cells are separated by, unless its first line says so itself.
    """

    name: str
    path: Path
    delimiter: str = ","

    def rows(self, columns: Iterable[str], faults: Faults) -> Iterator[Row]:
        """Give the rows; one whose cells do not match the header is noted and left out.

        Raises:
            UnreadableError: the rest cannot be read, or a needed column is missing.
        """
        lines = self._lines(faults)
        first = next(lines, "")
        named = _DELIMITER_LINE.fullmatch(first)
        before = 1 if named else 0
        reader = csv.reader(
            lines if named else chain([first], lines),
            delimiter=named[1] if named else self.delimiter,
            strict=True,
        )
        header = _without_empty_end(
            name.strip() for name in self._next(reader, before, faults) or ()
        )
        self._check(header, columns, before + 1, faults)
        began = before + reader.line_num + 1
        while (read := self._next(reader, before, faults)) is not None:
            line, began = began, before + reader.line_num + 1
            cells = [cell.strip() for cell in read]
            if not any(cells):
                continue
            if len(cells) > len(header):
                # Spreadsheets write empty columns at the right, and not in each row as many.
                cells[len(header) :] = _without_empty_end(cells[len(header) :])
            if len(cells) != len(header):
                message = f"This row has {len(cells)} cells, the header has {len(header)}"
                faults.add(self.name, line, "", message)
                continue
            yield Row(line, dict(zip(header, cells, strict=True)))

    def _next(self, reader: Iterator[list[str]], before: int, faults: Faults) -> list[str] | None:
        try:
            return next(reader, None)
        except csv.Error as error:
            line = before + getattr(reader, "line_num", 0)
            faults.add(self.name, line, "", f"This is not CSV from here on: {error}")
            raise UnreadableError from None

    def _check(self, header: list[str], columns: Iterable[str], line: int, faults: Faults) -> None:
        before = faults.count
        if not header:
            faults.add(self.name, line, "", "The first line has to name the columns")
            raise UnreadableError
        for name in sorted({name for name in header if name and header.count(name) > 1}):
            faults.add(self.name, line, name, "There are two columns of this name")
        for name in sorted(set(columns) - set(header)):
            known = ", ".join(filter(None, header))
            faults.add(self.name, line, name, f"The mapping needs this column; there are: {known}")
        if faults.count > before:
            raise UnreadableError

    def _lines(self, faults: Faults) -> Iterator[str]:
        try:
            with self.path.open("rb") as file:
                if file.read(4).startswith(_OTHER_UNICODE):
                    what = "This is UTF-16 or UTF-32; save the file as UTF-8"
                    faults.add(self.name, 1, "", what)
                    raise UnreadableError
                file.seek(0)
                # Lines end as each of the three systems ends them, CR alone among these.
                text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
                yield from self._checked(text, faults)
        except OSError as error:
            faults.add(self.name, None, "", f"The file cannot be read: {error.strerror}")
            raise UnreadableError from None

    def _checked(self, lines: Iterable[str], faults: Faults) -> Iterator[str]:
        for number, line in enumerate(lines, start=1):
            if what := _wrong(line):
                faults.add(self.name, number, "", what)
                raise UnreadableError
            yield line


def _wrong(line: str) -> str | None:
    """Return why a line cannot be read, None where it can."""
    if "\0" in line:
        return "There is a NUL byte; save the file as text in UTF-8"
    if len(line) > _LONGEST_LINE:
        return f"This line is longer than {_LONGEST_LINE:,} characters"
    try:
        line.encode()
    except UnicodeEncodeError as error:  # how what is no UTF-8 has been decoded
        place = len(line[: error.start].encode()) + 1
        byte = ord(line[error.start]) - 0xDC00
        return f"Byte 0x{byte:02X} at {place} is not UTF-8; save the file as UTF-8"
    return None


def _without_empty_end(cells: Iterable[str]) -> list[str]:
    kept = list(cells)
    while kept and not kept[-1]:
        kept.pop()
    return kept
